// Joins that shuffle: by partitions at a recall, or by a grid of blocks exactly. Both end in tasks that merge ranges of queries and write them.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SparkDataset } from '../../engine/spark/spark-dataset.ts'
import { NighError } from '../../errors.ts'
import { randomSource } from '../../join/sample.ts'
import { CERTAIN, estimateRecall, type RecallEstimate } from '../../join/statistics.ts'
import { trainCells } from '../../partition/cells.ts'
import { Router, routeOf } from '../../partition/router.ts'
import { isSymmetric, longest, placeDim, placesOf, type Space } from '../../partition/space.ts'
import { blocksOf } from './blocks.ts'
import { chooseMargin, type Margin, recallsOf, type Truth } from './choose-margin.ts'
import { collectTruths } from './collect-truths.ts'
import { controlRows } from './control-rows.ts'
import { drawSamples, type SampledRows, type Samples } from './draw-samples.ts'
import type { SparkPlan } from './join-plan.ts'
import type { AssignStage, GridStage, JoinWork, MergeStage, RangeDone, ReadTask, SearchStage } from './join-stage.ts'
import { collected, DONE_SCHEMA, type RunContext, told, withLargeRows } from './run-context.ts'
import { cellsJson } from './saved-cells.ts'
import { BLOCK_SCHEMA, emptyBlocksSql } from './shuffle-blocks.ts'
import { shuffleKeys } from './shuffle-keys.ts'

/** What there is to do, and where tasks put it. */
export interface ShuffledJoin {
  context: RunContext
  work: JoinWork
  plan: SparkPlan
  /** Beside the output, seen by all tasks. */
  directory: string
  /** Of the plan's tasks those that run at a time. */
  numTasks: number
  output: MergeStage['output']
}

export interface ShuffledOutcome {
  done: RangeDone[]
  recall: RecallEstimate
  method: string
  /** Of a join by partitions. */
  margin: Margin | undefined
}

/** Rows a cell is trained on, and most bytes of all of them. */
const TRAINING_ROWS = 64
const TRAINING_BYTES = 32e6
const SAMPLE_ROWS = 1000
/** Most partitions of a row. */
const WIDTH = 12
/** The part of what may be missed that the partitions miss; the searches in them may miss the rest, but for a reserve. */
const ROUTING_PART = 0.4
const RESERVE_PART = 0.1
/** A result that misses the recall: the part of what may be missed that the next try may miss. */
const STRICTER = 0.5
const TRIES = 2

/** By a grid: exact. */
export async function joinByGrid(shuffled: ShuffledJoin): Promise<ShuffledOutcome> {
  const { context, work, plan } = shuffled
  const stage: GridStage = { ...work, queryBlocks: plan.queryBlocks, itemBlocks: plan.itemBlocks }
  const control = controlRows(context.spark, plan.queryBlocks.length * plan.itemBlocks.length)
  const done = await merged(shuffled, control.stage('joinGrid', stage, BLOCK_SCHEMA), { mayRepeat: false, sample: [] })
  return { done, recall: CERTAIN, method: 'exact', margin: undefined }
}

/** By partitions: at the recall asked for, or exactly where the result misses it twice. */
export async function joinByPartitions(join: ShuffledJoin): Promise<ShuffledOutcome> {
  const { work, plan } = join
  const prepared = await prepare(join)
  const target = work.params.recall
  let missed = 1 - target
  for (let attempt = 0; attempt < TRIES; attempt++, missed *= STRICTER) {
    const outcome = await attemptPartitions(join, prepared, 1 - missed)
    if (outcome.recall.estimate >= target) return outcome
  }
  const numPartitions = Math.max(1, plan.numPartitions)
  const itemBlocks = blocksOf(work.items.partitionRows, numPartitions)
  const queryBlocks = blocksOf((work.queries ?? work.items).partitionRows, 1)
  return joinByGrid({ ...join, plan: { ...plan, itemBlocks, queryBlocks } })
}

interface Prepared {
  samples: Samples
  router: Router
  cellsPath: string
  numPartitions: number
  itemsAsk: boolean
  truths: { choosing: Truth[]; validation: Truth[] }
}

/** Samples, cells and the truth of the samples. */
async function prepare({ context, work, plan, directory, numTasks }: ShuffledJoin): Promise<Prepared> {
  const { params, items, queries } = work
  const rows = items.partitionRows.reduce((sum, count) => sum + count, 0)
  const training = Math.min(rows, TRAINING_ROWS * plan.numCells)
  const sizes = { training, choosing: SAMPLE_ROWS, validation: SAMPLE_ROWS, numTasks }
  const samples = await drawSamples(context, work, sizes)
  const { dim, vectors } = withinBytes(samples.training)
  const space: Space = { metric: params.metric, dim, maxNorm: longest(vectors, dim) }
  const cells = await trainCells(placesOf(vectors, space, 'item'), placeDim(space), {
    numCells: plan.numCells,
    numPartitions: plan.numPartitions,
    random: randomSource(params.seed),
    threads: params.threads,
  })
  const cellsPath = join(directory, 'cells.json')
  writeFileSync(cellsPath, cellsJson({ space, cells }))
  const router = await Router.create(cells, space, params.threads)
  const both = concatenated(samples.choosing, samples.validation)
  const truths = await collectTruths(context, work, both, { directory, cellsPath, numTasks, width: WIDTH })
  const cut = samples.choosing.rows.length
  return {
    samples,
    router,
    cellsPath,
    numPartitions: cells.numPartitions,
    itemsAsk: queries === undefined && isSymmetric(space),
    truths: { choosing: truths.slice(0, cut), validation: truths.slice(cut) },
  }
}

async function attemptPartitions(join: ShuffledJoin, prepared: Prepared, recall: number): Promise<ShuffledOutcome> {
  const { context, work, numTasks } = join
  const { samples, router, truths, itemsAsk, cellsPath, numPartitions } = prepared
  const wide = { margin: Number.POSITIVE_INFINITY, width: WIDTH }
  const routes = await router.route(samples.choosing.vectors, 'query', wide)
  const asked = truths.choosing.map((_, i) => routeOf(routes, i))
  const missed = 1 - recall
  const margin = chooseMargin(asked, truths.choosing, 1 - ROUTING_PART * missed, itemsAsk)
  const within = Math.min(1 - RESERVE_PART * missed, (recall + RESERVE_PART * missed) / Math.max(margin.recall, 0.1))
  const tasks: ReadTask[] = readTasks('item', work.items.partitionRows, numTasks)
  if (!itemsAsk) tasks.push(...readTasks('query', (work.queries ?? work.items).partitionRows, numTasks))
  const partitionKeys = shuffleKeys(numPartitions)
  const routing = { margin: margin.margin, width: WIDTH, itemsAsk, partitionKeys }
  const assign: AssignStage = { ...work, ...routing, tasks, cellsPath }
  const search: SearchStage = { ...work, partitionKeys, itemsAsk, recall: within }
  const candidates = controlRows(context.spark, tasks.length)
    .stage('assign', assign, BLOCK_SCHEMA)
    .partitionBy('key', { numPartitions })
    .stage('searchPartition', search, BLOCK_SCHEMA)
  const sample = [...samples.validation.rows]
  const done = await merged(join, candidates, { mayRepeat: itemsAsk, sample })
  const found = new Map(done.flatMap((range) => range.sample).map((one) => [one.query, one]))
  const nothing = { rows: [], distances: [] }
  const recalls = recallsOf(
    truths.validation,
    sample.map((row) => found.get(row) ?? nothing),
  )
  const population = (work.queries ?? work.items).partitionRows.reduce((sum, rows) => sum + rows, 0)
  const methods = new Set(done.flatMap(({ parts }) => parts).map(({ method }) => method))
  return { done, recall: estimateRecall(recalls, population), method: [...methods].sort().join(', '), margin }
}

function readTasks(side: 'item' | 'query', partitionRows: readonly number[], numTasks: number): ReadTask[] {
  return blocksOf(partitionRows, numTasks).map(({ first, count }) => ({ side, first, count }))
}

/** The last stage: candidates to the tasks of their ranges, which write them. */
async function merged(
  { context, work, plan, directory, output }: ShuffledJoin,
  candidates: SparkDataset,
  { mayRepeat, sample }: Pick<MergeStage, 'mayRepeat' | 'sample'>,
): Promise<RangeDone[]> {
  // What an attempt before wrote stays apart.
  const parts = mkdtempSync(join(directory, 'parts-'))
  const { ranges } = plan
  const stage: MergeStage = { ...work, directory: parts, mayRepeat, sample, output }
  const numPartitions = ranges.length
  const dataset = candidates
    // A range without candidates has its task, too.
    .union(context.spark.sql(emptyBlocksSql(work.rangeKeys)))
    .partitionBy('key', { numPartitions })
    .stage('mergeAndWrite', stage, DONE_SCHEMA)
  const tables = await withLargeRows(context.spark.session, () => collected(dataset, context, 'join'))
  const done = told<RangeDone>(tables)
  const missing = ranges.find(({ block }) => done.filter(({ range }) => range === block).length !== 1)
  if (missing) throw new NighError('SPARK_FAILED', `the cluster did not tell of range ${missing.block} once`)
  const placed = done.map((range) => ({ ...range, file: range.file && join(parts, range.file) }))
  return placed.sort((a, b) => a.range - b.range)
}

function withinBytes(sample: SampledRows): SampledRows {
  const most = Math.max(1, Math.floor(TRAINING_BYTES / 4 / sample.dim))
  if (sample.rows.length <= most) return sample
  const step = sample.rows.length / most
  const rows = Float64Array.from({ length: most }, (_, i) => sample.rows[Math.floor(i * step)]!)
  const vectors = new Float32Array(most * sample.dim)
  for (let i = 0; i < most; i++) {
    const from = Math.floor(i * step) * sample.dim
    vectors.set(sample.vectors.subarray(from, from + sample.dim), i * sample.dim)
  }
  return { rows, vectors, dim: sample.dim }
}

function concatenated(a: SampledRows, b: SampledRows): SampledRows {
  const dim = Math.max(a.dim, b.dim)
  return {
    rows: Float64Array.from([...a.rows, ...b.rows]),
    vectors: Float32Array.from([...a.vectors, ...b.vectors]),
    dim,
  }
}
