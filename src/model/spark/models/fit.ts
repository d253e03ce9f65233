// An index of the items of a cluster: its tasks build a segment each, and this process makes one index of them.
import { copyFileSync, existsSync, linkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Schema } from 'apache-arrow'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import { invalidOption, NighError } from '../../../errors.ts'
import {
  checkDirectory,
  commitStaged,
  type IndexFacts,
  namesOf,
  readDirectory,
  type SegmentFacts,
  writeSegment,
} from '../../../indexes/index-directory.ts'
import { disposeSegment } from '../../../indexes/segment.ts'
import { integer } from '../../../join/options.ts'
import { readTable } from '../../../table/datasets.ts'
import { difference, emptyTable, selected } from '../../../table/schema.ts'
import { building, readItems } from '../../index-items.ts'
import type { IndexParams } from '../../index-params.ts'
import { columnName } from '../../params.ts'
import { controlRows, parallelism } from '../control-rows.ts'
import { shuffleKeys } from '../shuffle-keys.ts'
import { requireFile } from '../storage-errors.ts'
import { inOrder, PIECES } from './blocks.ts'
import type { Building, Built, Parting, Replaced, Replacing } from './build-tasks.ts'
import { told } from './client.ts'
import { blocksOfFiles, openSource, type SparkTable } from './source.ts'
import { staged } from './staging.ts'

export interface SparkFitOptions extends ExecuteOptions {
  spark: Spark
  /** A directory for the model, on storage that the tasks and this process see under the same path. */
  path: string
  /** Shards that the items are built into, each by a task; with `partitionCol` tasks, which build a shard for each value. Default: the tasks that the cluster runs at once. */
  numPartitions?: number | undefined
  /** The items' column of partitions: integers, strings, dates or booleans. */
  partitionCol?: string | undefined
  /** The queries' column of the partition, or the list of partitions, that each sees. Without it each sees them all. */
  queryPartitionsCol?: string | undefined
  /** A model that the items are appended to. It stays as it is, unless it is the one at `path`. */
  initialModelPath?: string | undefined
  /** Replace an index that is there. */
  overwrite?: boolean | undefined
}

const MAX_PARTITIONS = 65_536

/** Errors before the work: INVALID_OPTION, INDEX_EXISTS, COLUMN_NOT_FOUND, ... */
export async function fitOnSpark(items: SparkTable, params: IndexParams, options: SparkFitOptions): Promise<string> {
  const { spark, partitionCol, queryPartitionsCol, initialModelPath } = options
  if (typeof options.path !== 'string' || options.path === '') throw invalidOption('path', 'must be a directory')
  if (options.path.includes('://')) throw invalidOption('path', 'must be a directory of a file system, not a URL')
  const path = resolve(options.path)
  const optional = (name: string, value: unknown) => (value === undefined ? undefined : columnName(name, value))
  optional('partitionCol', partitionCol)
  optional('queryPartitionsCol', queryPartitionsCol)
  if (queryPartitionsCol !== undefined && partitionCol === undefined) {
    throw invalidOption('queryPartitionsCol', 'only together with partitionCol: the items have no partitions')
  }
  if (initialModelPath !== undefined) {
    const from = resolve(initialModelPath)
    if (from !== path) await checkDirectory(path, options)
    const initial = await readDirectory(from)
    sameKind(initial.facts, params, partitionCol)
    await appendOnSpark(spark, { path: from, ...initial }, items, params, { ...options, path })
    return path
  }
  await checkDirectory(path, options)
  await staged(path, async (directory) => {
    const { built, common } = await buildOnSpark(spark, items, params, options, { staged: directory, isUnique: false })
    await commitStaged(path, directory, { ...factsOf(params, options), ...common }, built, undefined)
  })
  return path
}

function factsOf(
  params: IndexParams,
  { partitionCol, queryPartitionsCol }: Pick<SparkFitOptions, 'partitionCol' | 'queryPartitionsCol'>,
): Omit<IndexFacts, 'dim' | 'isBits' | 'idCol'> {
  return {
    metric: params.metric,
    featuresCol: params.featuresCol ?? 'vector',
    nextId: null,
    params: params.kind,
    efforts: [],
    asks: { k: params.k, effort: params.effort, predictionCol: params.predictionCol },
    ...(partitionCol === undefined ? {} : { partitionCol }),
    ...(queryPartitionsCol === undefined ? {} : { queryPartitionsCol }),
  }
}

function sameKind(facts: IndexFacts, params: IndexParams, partitionCol: string | undefined): void {
  const differs = (name: string, there: unknown, asked: unknown) =>
    invalidOption(name, `the initial model has ${there ?? 'none'}, not ${asked ?? 'none'}`)
  if (facts.metric !== params.metric) throw differs('metric', facts.metric, params.metric)
  if (facts.params.kind !== params.kind.kind) throw differs('initialModelPath', facts.params.kind, params.kind.kind)
  if (partitionCol !== undefined && facts.partitionCol !== partitionCol) {
    throw differs('partitionCol', facts.partitionCol, partitionCol)
  }
}

type Common = Pick<IndexFacts, 'dim' | 'isBits' | 'idCol'>

/** Segments of items, their files in a directory of the change. */
export async function buildOnSpark(
  spark: Spark,
  items: SparkTable,
  asked: IndexParams,
  options: Pick<SparkFitOptions, 'numPartitions' | 'partitionCol'> & ExecuteOptions,
  how: Pick<Building, 'staged' | 'isUnique'>,
): Promise<{ built: SegmentFacts[]; common: Common }> {
  const { signal, onProgress, tags, partitionCol } = options
  const run: ExecuteOptions = { signal, onProgress, tags }
  const numPartitions =
    options.numPartitions === undefined
      ? await parallelism(spark, run)
      : integer('numPartitions', options.numPartitions, 1, MAX_PARTITIONS)
  const source = await openSource(spark, items, 'items')
  const columns = itemColumns(source.schema, asked, partitionCol)
  const params = { ...asked, columns: columns.slice(2) }
  const stage: Building = { ...how, params }
  let done: Built[]
  if ('files' in source && partitionCol === undefined) {
    const blocks = blocksOfFiles(source.partitionRows, numPartitions)
    const building = { ...stage, files: source.files, blocks, columns }
    done = blocks.length === 0 ? [] : await told<Built>(controlRows(spark, blocks.length), 'buildBlocks', building, run)
  } else {
    const parting: Parting = { items: undefined, partitionCol, keys: shuffleKeys(numPartitions) }
    let input = 'rows' in source ? source.rows.select(columns) : controlRows(spark, 0)
    if ('files' in source) {
      const blocks = blocksOfFiles(source.partitionRows, numPartitions)
      input = controlRows(spark, blocks.length)
      parting.items = { files: source.files, blocks, columns }
    }
    const pieces = inOrder(input.stage('partItems', parting, PIECES), numPartitions)
    done = await told<Built>(pieces, 'buildPieces', stage, run)
  }
  return wholeOf(done, how.staged, source.schema, params)
}

/** Ids and vectors, and the columns to keep. */
function itemColumns(schema: Schema, params: IndexParams, partitionCol: string | undefined): string[] {
  const own = [params.idCol ?? 'id', params.featuresCol ?? 'vector']
  const others = params.columns ?? schema.fields.map(({ name }) => name).filter((name) => !own.includes(name))
  const all = partitionCol === undefined ? [...own, ...others] : [...own, ...others, partitionCol]
  const columns = [...new Set(all)]
  // Without ids, rows are numbered: those of a shard would begin at 0 again.
  selected(schema, columns)
  return columns
}

/** The segments in their order; one without rows where there are no items. */
export async function wholeOf(
  done: Built[],
  directory: string,
  schema: Schema,
  params: IndexParams,
): Promise<{ built: SegmentFacts[]; common: Common }> {
  const [first] = done
  if (!first) {
    const columns = [params.idCol ?? 'id', params.featuresCol ?? 'vector', ...(params.columns ?? [])]
    const table = await readItems(emptyTable(selected(schema, columns)), params, {})
    const { dim, isBits, idCol } = table
    const facts = { metric: params.metric, params: params.kind } as IndexFacts
    const segment = await building(table, facts, params, {})
    const written = await writeSegment(directory, segment, {})
    disposeSegment(segment)
    return { built: [written], common: { dim, isBits, idCol } }
  }
  const { dim, isBits, idCol } = first
  const other = done.find((one) => one.dim !== dim)
  if (other) {
    const message = `some items have ${dim} dimensions, others ${other.dim}`
    throw new NighError('DIMENSION_MISMATCH', message)
  }
  const built = done.sort(({ order: [a, x] }, { order: [b, y] }) => a - b || (x < y ? -1 : x > y ? 1 : 0))
  const segments = built.map(({ segment }) => segment)
  for (const name of namesOf(segments)) requireFile(join(directory, name))
  return { built: segments, common: { dim, isBits, idCol } }
}

interface Model {
  path: string
  facts: IndexFacts
  segments: SegmentFacts[]
  generation: number
}

/** The items of a model and others, which take the places of those with their ids. */
export async function appendOnSpark(
  spark: Spark,
  model: Model,
  items: SparkTable,
  params: IndexParams,
  options: Pick<SparkFitOptions, 'numPartitions' | 'path' | 'overwrite'> & ExecuteOptions,
): Promise<{ facts: IndexFacts; segments: SegmentFacts[]; generation: number; added: number; replaced: number }> {
  const { path, facts } = model
  const isSame = options.path === path
  return staged(options.path, async (directory) => {
    const { partitionCol } = facts
    const how = { staged: directory, isUnique: true }
    const { built, common } = await buildOnSpark(spark, items, params, { ...options, partitionCol }, how)
    const before = model.segments.filter(({ numRows }) => numRows > 0)
    const added = built.filter(({ numRows }) => numRows > 0)
    if (before.length > 0 && added.length > 0 && common.dim !== facts.dim) {
      const message = `the new items have ${common.dim} dimensions; those of the model ${facts.dim}`
      throw new NighError('DIMENSION_MISMATCH', message)
    }
    if (before.length > 0 && added.length > 0)
      await sameColumns(join(path, columnsOf(before)), join(directory, columnsOf(added)))
    const all = [...before, ...added]
    const own = before.length > 0 ? facts : { ...facts, ...common }
    const newer = all.map((_, i) => Array.from(all.keys()).filter((j) => j > i && j >= before.length))
    const replacing = { path, staged: directory, segments: all, newer, ids: undefined, ...space(own) }
    const { segments, rows } = await replaced(spark, replacing, options)
    // Nothing of the other model is moved or changed.
    if (!isSame) for (const name of namesOf(segments)) bring(join(path, name), join(directory, name))
    const next = { ...own, efforts: [] }
    const generation = await commitStaged(
      options.path,
      directory,
      next,
      segments.length > 0 ? segments : built,
      isSame ? model.generation : undefined,
    )
    const live = (of: readonly SegmentFacts[]) => of.reduce((sum, one) => sum + one.numRows - one.numDeleted, 0)
    const left = segments.length > 0 ? segments : built
    return { facts: next, segments: left, generation, added: live(left) - live(model.segments), replaced: rows }
  })
}

const columnsOf = ([first]: readonly SegmentFacts[]) => first!.columns.name

/** Ids and columns of the same names and types. */
async function sameColumns(before: string, added: string): Promise<void> {
  const [old, fresh] = [await readTable(before), await readTable(added)]
  const wrong = difference(await fresh.schema(), await old.schema())
  if (wrong) throw new NighError('SCHEMA_MISMATCH', `the new items: ${wrong}`)
}

export const space = ({ dim, isBits }: IndexFacts): Pick<IndexFacts, 'dim' | 'isBits'> => ({ dim, isBits })

/** Segments without the items whose ids others have. */
export async function replaced(
  spark: Spark,
  stage: Replacing,
  { signal, onProgress, tags }: ExecuteOptions,
): Promise<{ segments: SegmentFacts[]; rows: number }> {
  const { segments, newer, ids } = stage
  if (segments.length === 0 || (ids === undefined && newer.every((others) => others.length === 0))) {
    return { segments: [...segments], rows: 0 }
  }
  const control = controlRows(spark, segments.length)
  const changed = await told<Replaced>(control, 'replaceIds', stage, { signal, onProgress, tags })
  const now = [...segments]
  for (const { segment, facts } of changed) now[segment] = facts
  return { segments: now, rows: changed.reduce((sum, { rows }) => sum + rows, 0) }
}

function bring(from: string, to: string): void {
  if (existsSync(to) || !existsSync(from)) return
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}
