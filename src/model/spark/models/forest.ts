// A forest of all items of a cluster in one file of Annoy's, as spark-annoy builds it: the nodes are made, and put together, by tasks.
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import { invalidOption, NighError } from '../../../errors.ts'
import { numLeavesOf, parentTree } from '../../../indexes/forest-parts.ts'
import { integer } from '../../../join/options.ts'
import { checkOutput } from '../../../table/output.ts'
import { selected } from '../../../table/schema.ts'
import type { IndexParams } from '../../index-params.ts'
import { controlRows, parallelism } from '../control-rows.ts'
import { requireFile, unseen } from '../storage-errors.ts'
import { inOrder, PIECES, piecesOf } from './blocks.ts'
import { told } from './client.ts'
import type { Branch, Growing, Merging, StagedItems, StagingItems } from './forest-tasks.ts'
import { blocksOfFiles, openSource, type SparkTable } from './source.ts'
import { staged } from './staging.ts'

export interface AnnoyFileOptions extends ExecuteOptions {
  spark: Spark
  /** The file to make, on storage that the tasks and this process see under the same path. */
  path: string
  /** Annoy's item i is the one with id i. Without it, items are numbered in their order, and their ids go to `PATH.ids.arrow`. */
  byId?: boolean | undefined
  /** Tasks that the items are dealt out to. Default: as many as the cluster runs at once. */
  numPartitions?: number | undefined
  /** Items of a branch, about. A branch is grown in one task. Default 50000. */
  branchItems?: number | undefined
}

/** What was made. */
export interface AnnoyFile {
  path: string
  /** The ids by Annoy's numbers, unless these are the ids. */
  ids: string | undefined
  numItems: number
  dim: number
}

/** Rows that the first splits are chosen from, of all trees together; and of one, for each of its leaves. */
const SAMPLE_ROWS = 65_536
const LEAF_SAMPLE_ROWS = 64

export async function annoyFileOnSpark(
  items: SparkTable,
  params: IndexParams,
  options: AnnoyFileOptions,
): Promise<AnnoyFile> {
  const { spark, byId = false, signal, onProgress, tags } = options
  const run: ExecuteOptions = { signal, onProgress, tags }
  if (typeof options.path !== 'string' || options.path === '') throw invalidOption('path', 'must be a file')
  const path = resolve(options.path)
  const ids = byId ? undefined : `${path}.ids.arrow`
  if (existsSync(path)) throw new NighError('OUTPUT_EXISTS', `${path}: exists; give another path`)
  if (ids !== undefined) checkOutput(ids, 'error')
  const numTrees = params.kind.numTrees ?? 0
  if (numTrees < 1) throw invalidOption('numTrees', 'must be told for a forest that is grown in parts')
  const tasks = await parallelism(spark, run)
  const numPartitions = integer('numPartitions', options.numPartitions ?? tasks, 1, 65_536)
  const branchItems = integer('branchItems', options.branchItems ?? 50_000, 1, 2 ** 31)
  return staged(path, async (directory) => {
    const { files, samples } = await stagedItems(spark, items, { staged: directory, params, byId }, numPartitions, run)
    const [first] = files
    if (!first) throw invalidOption('items', 'there are none, and Annoy has no file without')
    const { dim } = first
    const other = files.find((one) => one.dim !== dim)
    if (other) throw new NighError('DIMENSION_MISMATCH', `some items have ${dim} dimensions, others ${other.dim}`)
    const total = files.reduce((sum, { numRows }) => sum + numRows, 0)
    const numItems = byId ? Math.max(...files.map(({ end }) => end)) : total
    if (numItems >= 2 ** 31) throw new NighError('TOO_LARGE', `Annoy has no numbers for ${numItems} items`)
    const numLeaves = Math.max(2, numPartitions, Math.ceil(total / branchItems))
    const parents: string[] = []
    let mostLeaves = 1
    for (let tree = 0; tree < numTrees; tree++) {
      const sample = sampleOf(files, samples, numLeaves * LEAF_SAMPLE_ROWS, tree)
      const space = { metric: params.metric, dim }
      const parent = await parentTree(sample, space, numLeaves, params.kind.seed + tree)
      mostLeaves = Math.max(mostLeaves, numLeavesOf(parent))
      parents.push(`parent-${tree}.bin`)
      writeFileSync(join(directory, parents[tree]!), parent)
    }
    const growing: Growing = {
      staged: directory,
      space: { metric: params.metric, dim },
      items: files,
      byId,
      parents,
      mostLeaves,
      numItems,
      threads: params.threads,
    }
    const routed = controlRows(spark, files.length).stage('routeItems', growing, PIECES)
    const branches = await told<Branch>(inOrder(routed, Math.max(tasks, numPartitions)), 'growBranches', growing, run)
    writeFileSync(join(directory, 'branches.json'), JSON.stringify(branches))
    const names = { branches: 'branches.json', forest: 'forest.ann', ids: byId ? undefined : 'ids.arrow' }
    const merging: Merging = { ...growing, ...names }
    await told(controlRows(spark, 1), 'mergeTrees', merging, run)
    requireFile(join(directory, names.forest))
    // The ids first: a file of Annoy's is never without.
    if (ids !== undefined) renameSync(join(directory, names.ids!), ids)
    renameSync(join(directory, names.forest), path)
    return { path, ids, numItems, dim }
  })
}

interface Sampled {
  files: StagedItems[]
  /** Of each, some of its vectors. */
  samples: Float32Array[]
}

async function stagedItems(
  spark: Spark,
  items: SparkTable,
  stage: Pick<StagingItems, 'staged' | 'params' | 'byId'>,
  numPartitions: number,
  run: ExecuteOptions,
): Promise<Sampled> {
  const source = await openSource(spark, items, 'items')
  const { idCol = 'id', featuresCol = 'vector' } = stage.params
  const columns = [idCol, featuresCol]
  selected(source.schema, columns)
  const staging: StagingItems = {
    ...stage,
    items: undefined,
    sampleRows: Math.max(64, Math.ceil(SAMPLE_ROWS / numPartitions)),
  }
  let input = 'rows' in source ? source.rows.select(columns).repartition(numPartitions) : controlRows(spark, 0)
  if ('files' in source) {
    const blocks = blocksOfFiles(source.partitionRows, numPartitions)
    input = controlRows(spark, blocks.length)
    staging.items = { files: source.files, blocks, columns }
  }
  const found: { at: [number, number]; file: StagedItems; sample: Float32Array }[] = []
  try {
    for await (const { name, source: at, place, table } of piecesOf(
      input.stage('stageItems', staging, PIECES).tables(run),
    )) {
      const values = table.getChild('vector')!.data[0]!.children[0]!.values as Float32Array
      found.push({ at: [at, place], file: JSON.parse(name!) as StagedItems, sample: values.slice() })
    }
  } catch (error) {
    throw unseen(error)
  }
  found.sort(({ at: [a, x] }, { at: [b, y] }) => a - b || x - y)
  for (const { file } of found) requireFile(join(stage.staged, file.vectors))
  return { files: found.map(({ file }) => file), samples: found.map(({ sample }) => sample) }
}

/** Vectors of all files by how many items each has; of another tree, others. */
function sampleOf(
  files: readonly StagedItems[],
  samples: readonly Float32Array[],
  rows: number,
  tree: number,
): Float32Array {
  const total = files.reduce((sum, { numRows }) => sum + numRows, 0)
  const chosen: Float32Array[] = []
  for (const [i, { numRows, dim }] of files.entries()) {
    const there = samples[i]!.length / dim
    const count = Math.min(there, Math.max(1, Math.round((rows * numRows) / total)))
    for (let row = 0; row < count; row++) {
      const at = (tree * count + row) % there
      chosen.push(samples[i]!.subarray(at * dim, (at + 1) * dim))
    }
  }
  const all = new Float32Array(chosen.length * files[0]!.dim)
  for (const [i, vector] of chosen.entries()) all.set(vector, i * vector.length)
  return all
}
