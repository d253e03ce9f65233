// A join on a Spark cluster: the plan by the metadata of both tables, jobs of tasks, one commit at the end.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { ExecuteOptions } from '../../engine/spark/connect/session.ts'
import type { Spark } from '../../engine/spark/spark.ts'
import type { SparkDataset } from '../../engine/spark/spark-dataset.ts'
import { invalidOption, NighError } from '../../errors.ts'
import { type JoinOptions, type JoinParams, joinParams } from '../../join/options.ts'
import type { RecallEstimate } from '../../join/statistics.ts'
import { throwIfAborted } from '../../native.ts'
import { requireSameVectors } from '../join-tables.ts'
import type { BlockDone, TaskOutput } from './blocks.ts'
import { DeltaCommit } from './commit-delta.ts'
import { commitDirectory } from './commit-directory.ts'
import { parallelism } from './control-rows.ts'
import { type Described, describeSide } from './describe-side.ts'
import { explainSpark } from './explain-join.ts'
import { joinByBroadcast, joinNothing, recallOf } from './join-broadcast.ts'
import { planSpark, type SparkPlan, type SparkStrategy } from './join-plan.ts'
import { joinByGrid, joinByPartitions, type ShuffledJoin, type ShuffledOutcome } from './join-shuffle.ts'
import type { JoinWork } from './join-stage.ts'
import { neighborsSchema } from './neighbors-ipc.ts'
import { executeOptions, type RunContext, type SparkJoinProgress } from './run-context.ts'
import { shuffleKeys } from './shuffle-keys.ts'
import { requireFile } from './storage-errors.ts'

/** Paths that tasks and this process see alike; `sql:SELECT ...`; or a dataset of the cluster. */
export type SparkInput = string | SparkDataset

export interface SparkPlanOptions extends JoinOptions, Omit<ExecuteOptions, 'onProgress'> {
  /** Tasks at a time, about. Default: as many as the cluster runs by default. A row group of a table is in one task. */
  numTasks?: number | undefined
  /** Default: the one with the fewest bytes to move. */
  strategy?: SparkStrategy | undefined
  /** Partitions of the items. Default: as few as fit into the memory of a task, and one for each task. */
  numPartitions?: number | undefined
  onProgress?: ((progress: SparkJoinProgress) => void) | undefined
}

export interface SparkJoinOptions extends SparkPlanOptions {
  /** A directory of Parquet files, on storage that the tasks and this process see under the same path; or `delta:` and such a path. */
  to: string
}

/** What a join on Spark did. */
export interface SparkJoinReport {
  strategy: SparkStrategy
  /** Why. */
  reason: string
  method: string
  rows: { queries: number; items: number; neighbors: number }
  /** Measured on queries of all tasks. */
  recall: RecallEstimate & { target: number }
  numTasks: number
  numPartitions: number
  /** Partitions that a query went to, on average. */
  spread: number | undefined
  seconds: { stage: number; join: number; commit: number; total: number }
  /** Of all tasks. */
  cpuSeconds: number
  /** Of the task that took most. */
  peakMemoryBytes: number
  /** Blocks of rows and candidates that went between tasks. */
  shuffledBytes: number
  output: { path: string; files: number; version: number | undefined }
}

/** Before a query: its rows are the table. */
const SQL = 'sql:'
const DELTA = 'delta:'
/** Of a task, where nobody tells. */
const TASK_MEMORY = '2GB'

/**
 * The k nearest items of each query, found by the tasks of a cluster. The rows of SQL and of datasets are first written beside the
 * output: a join reads them more than once.
 *
 * @throws NighError with a code of docs/errors.md
 */
export function sparkJoin(
  spark: Spark,
  queries: SparkInput,
  items: SparkInput,
  options: SparkJoinOptions,
): Promise<SparkJoinReport> {
  return run(spark, queries, items, options)
}

/** The k nearest other rows of each row, found by the tasks of a cluster. */
export function sparkSelfJoin(spark: Spark, items: SparkInput, options: SparkJoinOptions): Promise<SparkJoinReport> {
  return run(spark, undefined, items, options)
}

/** The plan of a join, from the metadata of its tables: tasks, partitions, bytes, memory. `queries` is undefined for a self join. */
export async function explainSparkJoin(
  spark: Spark,
  queries: SparkInput | undefined,
  items: SparkInput,
  options: SparkPlanOptions = {},
): Promise<{ plan: SparkPlan; text: string }> {
  const { params, context } = settled(spark, options)
  const atRest = (input: SparkInput) => {
    if (typeof input === 'string' && !input.startsWith(SQL)) return pathOf(input)
    throw invalidOption('explain', 'looks at tables on storage; how many rows a query has is known when it has run')
  }
  const queryPath = queries === undefined ? undefined : atRest(queries)
  const prepared = await prepare(context, queryPath, atRest(items), params, options)
  const { plan, items: described } = prepared
  const { rows, dim } = described.size
  const self = queries === undefined
  const sizes = { queries: prepared.queries?.size.rows ?? rows, items: rows, dim, self }
  return { plan, text: explainSpark(plan, params, sizes) }
}

/** What is settled before anything of it runs. */
interface Prepared {
  params: JoinParams
  plan: SparkPlan
  items: Described
  queries: Described | undefined
  numTasks: number
}

async function run(
  spark: Spark,
  queries: SparkInput | undefined,
  items: SparkInput,
  { to, ...options }: SparkJoinOptions,
): Promise<SparkJoinReport> {
  const { asked, params, context } = settled(spark, options)
  const isDelta = to.startsWith(DELTA)
  const out = resolve(isDelta ? to.slice(DELTA.length) : to)
  if (/^[a-z0-9]+:\/\//.test(isDelta ? to.slice(DELTA.length) : to))
    throw invalidOption('to', 'must be a path that this process and the tasks see alike')
  if (!isDelta && params.mode === 'append')
    throw invalidOption('mode', 'a directory of Parquet files is not appended to on a cluster: write a Delta table')
  if (!isDelta && existsSync(out) && params.mode !== 'overwrite') {
    throw new NighError('OUTPUT_EXISTS', `${to} exists: give another, or replace it (--force, mode: 'overwrite')`)
  }
  const directory = join(dirname(out), `.${basename(out)}.nigh-${randomUUID()}`)
  const seconds = { stage: 0, join: 0, commit: 0, total: 0 }
  const started = performance.now()
  let delta: DeltaCommit | undefined
  const lap = () => (performance.now() - started) / 1000 - seconds.stage - seconds.join - seconds.commit
  try {
    mkdirSync(directory, { recursive: true })
    const queryPath = queries && (await staged(context, queries, join(directory, 'queries')))
    const itemPath = await staged(context, items, join(directory, 'items'))
    const prepared = await prepare(context, queryPath, itemPath, params, options)
    seconds.stage = lap()
    const work = workOf(prepared, asked)
    const output: TaskOutput = isDelta ? { format: 'delta', path: out, mode: params.mode } : { format: 'parquet' }
    if (output.format === 'delta') delta = DeltaCommit.begin(output, await neighborsSchema(work))
    const { files, ...told } = await joined(context, prepared, work, { asked, directory, output })
    seconds.join = lap()
    throwIfAborted(context.signal)
    const written = delta ? await delta.commit(directory, files) : commitDirectory(files, out)
    delta = undefined
    seconds.commit = lap()
    seconds.total = (performance.now() - started) / 1000
    return { ...told, seconds, output: { path: to, ...written } }
  } finally {
    await delta?.abort(directory)
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Options as the tasks and the client need them, checked. */
function settled(spark: Spark, options: SparkPlanOptions) {
  const { numTasks, strategy, numPartitions, signal, onProgress, tags, ...asked } = options
  const params = joinParams({ ...asked, memory: asked.memory ?? TASK_MEMORY, threads: asked.threads ?? 1 })
  if (params.distance) throw invalidOption('metric', 'a function of this process does not run on a cluster')
  if (params.rejects !== undefined)
    throw invalidOption('rejects', 'tasks of a cluster write none: filter the rows before')
  for (const [name, value] of Object.entries({ numTasks, numPartitions })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw invalidOption(name, `must be a whole number of 1 or more, not ${value}`)
    }
  }
  const context: RunContext = { spark, signal, onProgress, tags }
  return { asked, params, context }
}

async function prepare(
  context: RunContext,
  queryPath: string | undefined,
  itemPath: string,
  params: JoinParams,
  { numTasks: most, strategy, numPartitions }: SparkPlanOptions,
): Promise<Prepared> {
  const { signal } = context
  const selfColumns = queryPath === undefined ? params.query.columns : []
  const columns = [...new Set([...params.item.columns, ...selfColumns])]
  const items = await describeSide(itemPath, 'item', params, columns, signal)
  const queries =
    queryPath === undefined ? undefined : await describeSide(queryPath, 'query', params, params.query.columns, signal)
  if (queries) requireSameVectors(sizeOf(queries), sizeOf(items), params.metric)
  const numTasks = most ?? (await parallelism(context.spark, executeOptions(context, 'read')))
  const isEmpty = items.size.rows === 0 || (queries ?? items).size.rows === 0
  const plan = planSpark({
    items: items.facts,
    queries: queries?.facts,
    params,
    numTasks,
    numPartitions,
    strategy: checkedStrategy(isEmpty && queries ? 'broadcast' : strategy, params, items, queries),
  })
  if (params.plan && plan.strategy !== 'broadcast') {
    throw invalidOption('plan', 'a saved plan is of one process: this join is cut into parts')
  }
  return { params, plan, items, queries, numTasks }
}

function checkedStrategy(
  strategy: SparkStrategy | undefined,
  params: JoinParams,
  items: Described,
  queries: Described | undefined,
): SparkStrategy | undefined {
  if (strategy === 'broadcast' && !queries) throw invalidOption('strategy', 'broadcast: a self join has no queries')
  const isPlain = items.facts.isPlain && (queries?.facts.isPlain ?? true)
  if (strategy === 'partitions' && (params.exact || !isPlain))
    throw invalidOption('strategy', 'partitions: an exact join looks at all items')
  return strategy
}

const sizeOf = ({ size }: Described) => ({ ...size, numRows: size.rows })

function workOf({ params, plan, items, queries }: Prepared, asked: JoinOptions): JoinWork {
  return {
    items: items.side,
    queries: queries?.side,
    params,
    tmp: asked.tmp,
    ranges: plan.ranges,
    rangeKeys: shuffleKeys(plan.ranges.length),
    sliceRows: plan.sliceRows,
  }
}

type Outcome = Omit<SparkJoinReport, 'seconds' | 'output'> & { files: string[] }

async function joined(
  context: RunContext,
  { params, plan, items, queries, numTasks }: Prepared,
  work: JoinWork,
  { asked, directory, output }: { asked: JoinOptions; directory: string; output: TaskOutput },
): Promise<Outcome> {
  const { strategy, reason, numPartitions } = plan
  const target = params.recall
  if (plan.ranges.length === 0 || (strategy === 'broadcast' && queries)) {
    const options: JoinOptions = { ...asked, threads: params.threads, memory: params.memory, mode: 'error' }
    delete options.force
    const parts = mkdtempSync(join(directory, 'parts-'))
    const stage = { items: items.side.path, blocks: plan.ranges, directory: parts, options, output }
    const done =
      plan.ranges.length === 0 || !queries
        ? [await joinNothing({ ...stage, queries: queries?.side }, context.signal)]
        : await joinByBroadcast(context, { ...stage, queries: queries.side })
    return { ...ofBlocks(done, parts), strategy, reason, recall: { ...recallOf(done), target } }
  }
  const shuffled: ShuffledJoin = { context, work, plan, directory, numTasks, output }
  const outcome = await (strategy === 'grid' ? joinByGrid(shuffled) : joinByPartitions(shuffled))
  const told = ofRanges(outcome)
  const rows = { ...told.rows, items: items.size.rows }
  const { numTasks: tasks } = plan
  return { ...told, rows, strategy, reason, numTasks: tasks, numPartitions, recall: { ...outcome.recall, target } }
}

function ofBlocks(done: readonly BlockDone[], parts: string): Omit<Outcome, 'strategy' | 'reason' | 'recall'> {
  const sum = (of: (block: BlockDone) => number) => done.reduce((total, block) => total + of(block), 0)
  return {
    method: [...new Set(done.map(({ method }) => method))].join(', '),
    rows: { queries: sum((b) => b.queries), items: done[0]!.items, neighbors: sum((b) => b.neighbors) },
    numTasks: done.length,
    numPartitions: 1,
    spread: undefined,
    cpuSeconds: sum((block) => block.cpuSeconds),
    peakMemoryBytes: Math.max(...done.map((block) => block.peakMemoryBytes)),
    shuffledBytes: 0,
    files: done.map(({ file }) => join(parts, file)),
  }
}

function ofRanges({ done, method, margin }: ShuffledOutcome) {
  const parts = done.flatMap((range) => range.parts)
  const all = [...parts, ...done]
  const sum = <T>(list: readonly T[], of: (one: T) => number) => list.reduce((total, one) => total + of(one), 0)
  return {
    method,
    rows: { queries: sum(done, (r) => r.queries), neighbors: sum(done, (r) => r.neighbors) },
    spread: margin?.spread,
    cpuSeconds: sum(all, (one) => one.cpuSeconds),
    peakMemoryBytes: Math.max(0, ...all.map((one) => one.peakMemoryBytes)),
    shuffledBytes: sum(all, (one) => one.receivedBytes),
    files: done.flatMap(({ file }) => file ?? []),
  }
}

function pathOf(input: string): string {
  return input.includes('://') || input.startsWith(DELTA) ? input : resolve(input)
}

async function staged(context: RunContext, input: SparkInput, path: string): Promise<string> {
  if (typeof input === 'string' && !input.startsWith(SQL)) {
    return pathOf(input)
  }
  const dataset = typeof input === 'string' ? context.spark.sql(input.slice(SQL.length)) : input
  await dataset.write(path, executeOptions(context, 'read'))
  requireFile(path)
  return path
}
