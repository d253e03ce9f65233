import { StageClock } from '../engine/engine.ts'
import type { Spark } from '../engine/spark/spark.ts'
import { invalidOption } from '../errors.ts'
import { explainPlan } from '../join/explain.ts'
import { type JoinOptions, joinParams } from '../join/options.ts'
import { type Plan, planJoin } from '../join/plan.ts'
import { callNow, type NativeTable } from '../native.ts'
import type { OpenTable } from '../table/read.ts'
import type { TableInput } from '../table/source.ts'
import type { JoinResult } from './join-result.ts'
import {
  checkOutputs,
  joinBlocks,
  joinTables,
  type OutputOptions,
  openSide,
  planned,
  prepareSpilling,
  readItems,
  readSide,
} from './join-tables.ts'
import type { SparkInput, SparkJoinOptions, SparkJoinReport } from './spark/join.ts'

export interface KnnJoinOptions extends JoinOptions, OutputOptions {
  /** Where it runs. Default: here. */
  engine?: 'local' | undefined
}

/** A join on a cluster: paths that its tasks see, and where it writes. */
export interface SparkEngineOptions extends SparkJoinOptions {
  engine: 'spark'
  /** Its address, or a session that is there. */
  spark: string | Spark
}

/**
 * The k nearest items of each query. Exact, or at least at the recall asked for: measured on sampled queries, and reported.
 *
 * @throws NighError with a code of docs/errors.md
 */
export function knnJoin(queries: SparkInput, items: SparkInput, options: SparkEngineOptions): Promise<SparkJoinReport>
export function knnJoin(queries: TableInput, items: TableInput, options?: KnnJoinOptions): Promise<JoinResult>
export function knnJoin(
  queries: TableInput | SparkInput,
  items: TableInput | SparkInput,
  options: KnnJoinOptions | SparkEngineOptions = {},
): Promise<JoinResult | SparkJoinReport> {
  if (options.engine === 'spark') return onSpark(queries as SparkInput, items as SparkInput, options)
  return join(queries as TableInput, items as TableInput, options)
}

/** The k nearest other rows of each row. Rows with equal vectors are each other's neighbors. */
export function selfJoin(items: SparkInput, options: SparkEngineOptions): Promise<SparkJoinReport>
export function selfJoin(items: TableInput, options?: KnnJoinOptions): Promise<JoinResult>
export function selfJoin(
  items: TableInput | SparkInput,
  options: KnnJoinOptions | SparkEngineOptions = {},
): Promise<JoinResult | SparkJoinReport> {
  if (options.engine === 'spark') return onSpark(undefined, items as SparkInput, options)
  return join(undefined, items as TableInput, options)
}

/** Spark's client takes a while to load: only where it is used. */
async function onSpark(
  queries: SparkInput | undefined,
  items: SparkInput,
  { engine: _, spark, ...options }: SparkEngineOptions,
): Promise<SparkJoinReport> {
  const [{ Spark }, { sparkJoin, sparkSelfJoin }] = await Promise.all([
    import('../engine/spark/spark.ts'),
    import('./spark/join.ts'),
  ])
  const session = typeof spark === 'string' ? await Spark.connect(spark, { signal: options.signal }) : spark
  try {
    return await (queries === undefined
      ? sparkSelfJoin(session, items, options)
      : sparkJoin(session, queries, items, options))
  } finally {
    if (typeof spark === 'string') await session[Symbol.asyncDispose]()
  }
}

/**
 * The plan of a join with its estimated time and memory, from what the metadata of the tables tells. `queries` is `self` for a
 * self join.
 */
export async function explainJoin(
  queries: TableInput | { self: true },
  items: TableInput,
  { engine: _engine, signal, onProgress, to: _, ...options }: KnnJoinOptions = {},
): Promise<{ plan: Plan; text: string }> {
  const params = joinParams(options)
  const opened = await openBoth(isSelf(queries) ? undefined : queries, items, params, { signal, onProgress })
  try {
    const memory = planned(opened.items, opened.queries, params, [])
    const { rows, dim } = opened.items.native.size
    const shape = { queries: opened.queries?.native.size.rows ?? rows, items: rows, dim, self: isSelf(queries) }
    const plan = planJoin(shape, params, callNow((native) => native.cpu()).level, {
      memory,
      sparse: opened.items.native.size.isSparse,
    })
    return { plan, text: explainPlan(plan) }
  } finally {
    opened.dispose()
  }
}

function isSelf(queries: TableInput | { self: true }): queries is { self: true } {
  return typeof queries === 'object' && 'self' in queries && queries.self === true
}

interface Opened {
  items: OpenTable
  queries: OpenTable | undefined
  dispose(): void
}

async function openBoth(
  queries: TableInput | undefined,
  items: TableInput,
  params: ReturnType<typeof joinParams>,
  call: OutputOptions,
): Promise<Opened> {
  const selfColumns = queries === undefined ? params.query.columns : []
  const itemsOpen = await openSide(items, params, 'item', call, [...params.item.columns, ...selfColumns])
  try {
    const open =
      queries === undefined ? undefined : await openSide(queries, params, 'query', call, params.query.columns)
    const dispose = () => {
      itemsOpen.native.dispose()
      open?.native.dispose()
    }
    return { items: itemsOpen, queries: open, dispose }
  } catch (error) {
    itemsOpen.native.dispose()
    throw error
  }
}

async function join(
  queries: TableInput | undefined,
  items: TableInput,
  { engine, signal, onProgress, to, ...options }: KnnJoinOptions,
): Promise<JoinResult> {
  if (engine !== undefined && engine !== 'local') throw invalidOption('engine', 'must be local or spark')
  const params = joinParams(options)
  const output = { signal, onProgress, to }
  checkOutputs(to, params)
  const clock = new StageClock()
  const opened = await clock.time('read', () => openBoth(queries, items, params, output))
  const held: { dispose(): void }[] = [opened]
  const hold = <T extends { dispose(): void }>(value: T) => {
    held.push(value)
    return value
  }
  const readTheQueries = async (memory: ReturnType<typeof planned>): Promise<NativeTable | undefined> =>
    opened.queries && hold(await readSide(opened.queries, memory, clock, output))
  try {
    const memory = planned(opened.items, opened.queries, params, [])
    prepareSpilling(memory)
    if (memory.way === 'blocks') {
      const table = hold(await readSide(opened.items, memory, clock, output))
      return await joinBlocks({ items: table, queries: await readTheQueries(memory), params, memory }, clock, output)
    }
    const index = hold(await readItems(opened.items, memory, params, clock, output))
    return await joinTables(index, await readTheQueries(memory), params, memory, clock, output)
  } finally {
    for (const value of held.reverse()) value.dispose()
  }
}
