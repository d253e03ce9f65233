// A join on a Spark cluster: blocks of queries to tasks, each joined there with all items into a file of its own; one commit at the end.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Field, Schema, Utf8 } from 'apache-arrow'
import type { ExecuteOptions } from '../../engine/spark/connect/session.ts'
import type { Spark } from '../../engine/spark/spark.ts'
import { invalidOption, NighError } from '../../errors.ts'
import { type JoinOptions, joinParams } from '../../join/options.ts'
import type { RecallEstimate } from '../../join/statistics.ts'
import { addon, call, callNow } from '../../native.ts'
import { readTable } from '../../table/datasets.ts'
import { columnNotFound } from '../../table/schema.ts'
import { knnJoin } from '../knn-join.ts'
import { type BlockDone, blocksOf, type JoinStage } from './blocks.ts'

export interface SparkJoinOptions extends JoinOptions, ExecuteOptions {
  /** A directory of Parquet files, on storage that the tasks and this process see under the same path. */
  to: string
  /** Most tasks. Default: as many as the cluster runs by default. A row group of the queries is in one task. */
  numTasks?: number | undefined
}

/** What a join on Spark did. */
export interface SparkJoinReport {
  method: string
  rows: { queries: number; items: number; neighbors: number }
  /** Of all tasks together, by their numbers of queries. */
  recall: RecallEstimate & { target: number }
  numTasks: number
  seconds: { stage: number; join: number; commit: number; total: number }
  /** Of all tasks. */
  cpuSeconds: number
  /** Of the task that took most. */
  peakMemoryBytes: number
  output: { path: string; files: number }
}

/** Before a query: its rows are the table. */
const SQL = 'sql:'
/** Of a task, where nobody tells. */
const TASK_MEMORY = '2GB'
const NOT_SEEN = new Set(['FILE_NOT_FOUND', 'NOT_A_TABLE', 'OUTPUT_UNWRITABLE'])

/**
 * The k nearest items of each query, found by the tasks of a cluster. Queries and items: paths that tasks and this process see alike, or
 * `sql:SELECT ...`, whose rows Spark first writes beside the output.
 *
 * @throws NighError with a code of docs/errors.md
 */
export async function sparkJoin(
  spark: Spark,
  queries: string,
  items: string,
  options: SparkJoinOptions,
): Promise<SparkJoinReport> {
  const { to, numTasks, signal, onProgress, tags, ...asked } = options
  const params = joinParams({ ...asked, memory: asked.memory ?? TASK_MEMORY })
  if (params.distance) throw invalidOption('metric', 'a function of this process does not run on a cluster')
  if (params.rejects !== undefined)
    throw invalidOption('rejects', 'tasks of a cluster write none: filter the rows before')
  if (params.mode === 'append')
    throw invalidOption('mode', 'a directory of Parquet files is not appended to on a cluster')
  const out = resolve(to)
  if (existsSync(out) && params.mode !== 'overwrite') {
    throw new NighError('OUTPUT_EXISTS', `${to} exists: give another, or replace it (--force, mode: 'overwrite')`)
  }
  const run: ExecuteOptions = { signal, onProgress, tags }
  const directory = join(dirname(out), `.${basename(out)}.nigh-${randomUUID()}`)
  const started = performance.now()
  const seconds = { stage: 0, join: 0, commit: 0, total: 0 }
  const lap = () => (performance.now() - started) / 1000 - seconds.stage - seconds.join - seconds.commit
  try {
    mkdirSync(join(directory, 'parts'), { recursive: true })
    const [queryPath, itemPath] = [
      await staged(spark, queries, join(directory, 'queries'), run),
      await staged(spark, items, join(directory, 'items'), run),
    ]
    const idCol = params.query.idCol ?? 'id'
    const queryColumns = [...new Set([idCol, params.query.featuresCol ?? 'vector', ...params.query.columns])]
    const { partitionRows, isCounted } = await partitionsOf(queryPath, queryColumns, signal)
    await readTable(itemPath, { signal })
    seconds.stage = lap()
    const blocks = blocksOf(partitionRows, numTasks ?? (await parallelism(spark, run)))
    const parts = join(directory, 'parts')
    const taskOptions: JoinOptions = { ...asked, threads: asked.threads ?? 1, memory: params.memory, mode: 'error' }
    delete taskOptions.force
    const stage: JoinStage = {
      queries: queryPath,
      items: itemPath,
      queryColumns,
      numPartitions: partitionRows.length,
      isCounted,
      blocks,
      directory: parts,
      options: taskOptions,
    }
    const done = blocks.length > 0 ? await joined(spark, stage, run) : [await nothing(stage, signal)]
    seconds.join = lap()
    commit(parts, done, out)
    seconds.commit = lap()
    seconds.total = (performance.now() - started) / 1000
    return reported(done, params.recall, seconds, to)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function staged(spark: Spark, input: string, path: string, run: ExecuteOptions): Promise<string> {
  if (!input.startsWith(SQL)) return input.includes('://') || /^delta:/.test(input) ? input : resolve(input)
  await spark.sql(input.slice(SQL.length)).write(path, run)
  if (!existsSync(path)) throw notSeen(path)
  return path
}

/** How many rows each partition has, by the metadata of the files. */
async function partitionsOf(
  path: string,
  columns: string[],
  signal: AbortSignal | undefined,
): Promise<{ partitionRows: number[]; isCounted: boolean }> {
  const { fields } = await (await readTable(path, { signal })).schema({ signal })
  for (const name of columns) {
    // Without ids, rows are numbered: those of a block would begin at 0 again.
    if (!fields.some((field) => field.name === name)) throw columnNotFound(new Schema(fields), name)
  }
  const scan = await call((native, job) => native.openScan([{ path }], { columns, side: 'query' }, job), { signal })
  try {
    const isDelta = callNow(() => addon().isDeltaTable(path))
    return { partitionRows: scan.partitions.map(({ numRows }) => numRows), isCounted: !isDelta }
  } finally {
    scan.dispose()
  }
}

async function parallelism(spark: Spark, run: ExecuteOptions): Promise<number> {
  const [row] = await spark
    .sql('SELECT count(DISTINCT p) AS n FROM (SELECT spark_partition_id() AS p FROM range(0, 10000))')
    .toRows(run)
  return Math.max(1, Number(row?.n))
}

async function joined(spark: Spark, stage: JoinStage, run: ExecuteOptions): Promise<BlockDone[]> {
  const { blocks } = stage
  const schema = new Schema([new Field('done', new Utf8(), true)])
  // A row and so a task for each block: rows that are dealt out may meet in one.
  const control = spark.sql(`SELECT id FROM range(0, ${blocks.length}, 1, ${blocks.length})`)
  const tasks = control.stage('joinBlocks', stage, schema)
  const done: BlockDone[] = []
  try {
    for await (const table of tasks.tables(run)) {
      for (const text of table.getChildAt(0)!) done.push(JSON.parse(text) as BlockDone)
    }
  } catch (error) {
    // What this process has seen, the tasks do not.
    if (!(error instanceof NighError) || !NOT_SEEN.has(error.code)) throw error
    throw new NighError('SPARK_STORAGE', `in a task of the cluster: ${error.message}`, { cause: error })
  }
  const missing = blocks.find(({ block }) => done.filter((one) => one.block === block).length !== 1)
  if (missing) throw new NighError('SPARK_FAILED', `the cluster did not tell of block ${missing.block} once`)
  return done.sort((a, b) => a.block - b.block)
}

/** No queries: a file with the columns alone. */
async function nothing({ queries, items, directory, options }: JoinStage, signal?: AbortSignal): Promise<BlockDone> {
  const file = 'part-00000.parquet'
  const { report } = await knnJoin(queries, items, { ...options, to: join(directory, file), signal })
  const { recall, plan, rows, peakMemoryBytes, cpuSeconds } = report
  return { block: 0, file, ...rows, method: plan.method, recall, peakMemoryBytes, cpuSeconds }
}

/** The files of the attempts that count, under the output's name, all at once. */
function commit(parts: string, done: readonly BlockDone[], out: string): void {
  const counted = new Set(done.map(({ file }) => file))
  for (const name of readdirSync(parts)) if (!counted.has(name)) rmSync(join(parts, name), { recursive: true })
  const absent = [...counted].find((name) => !existsSync(join(parts, name)))
  if (absent !== undefined) throw notSeen(join(parts, absent))
  const before = `${parts}.before`
  if (existsSync(out)) renameSync(out, before)
  try {
    renameSync(parts, out)
  } catch (cause) {
    if (existsSync(before)) renameSync(before, out)
    throw new NighError('OUTPUT_UNWRITABLE', `${out} cannot be put in its place`, { cause })
  }
}

function notSeen(path: string): NighError {
  return new NighError('SPARK_STORAGE', `${path} was written by the cluster and is not there for this process`)
}

function reported(
  done: readonly BlockDone[],
  target: number,
  seconds: SparkJoinReport['seconds'],
  path: string,
): SparkJoinReport {
  const sum = (of: (block: BlockDone) => number) => done.reduce((total, block) => total + of(block), 0)
  const queries = sum((block) => block.queries)
  // The tasks drew their samples by themselves: their errors add up as independent ones do.
  const share = (block: BlockDone) => (queries > 0 ? block.queries / queries : 1 / done.length)
  const estimate = sum((block) => share(block) * block.recall.estimate)
  const below = Math.sqrt(sum((block) => (share(block) * (block.recall.estimate - block.recall.low)) ** 2))
  const above = Math.sqrt(sum((block) => (share(block) * (block.recall.high - block.recall.estimate)) ** 2))
  return {
    method: [...new Set(done.map(({ method }) => method))].join(', '),
    rows: { queries, items: done[0]!.items, neighbors: sum((block) => block.neighbors) },
    recall: {
      target,
      estimate,
      low: Math.max(0, estimate - below),
      high: Math.min(1, estimate + above),
      sampleSize: sum((block) => block.recall.sampleSize),
    },
    numTasks: done.length,
    seconds,
    cpuSeconds: sum((block) => block.cpuSeconds),
    peakMemoryBytes: Math.max(...done.map((block) => block.peakMemoryBytes)),
    output: { path, files: done.length },
  }
}
