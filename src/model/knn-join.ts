import { StageClock } from '../engine/engine.ts'
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

export interface KnnJoinOptions extends JoinOptions, OutputOptions {}

/**
 * The k nearest items of each query. Exact, or at least at the recall asked for: measured on sampled queries, and reported.
 *
 * @throws NighError with a code of docs/errors.md
 */
export function knnJoin(queries: TableInput, items: TableInput, options: KnnJoinOptions = {}): Promise<JoinResult> {
  return join(queries, items, options)
}

/** The k nearest other rows of each row. Rows with equal vectors are each other's neighbors. */
export function selfJoin(items: TableInput, options: KnnJoinOptions = {}): Promise<JoinResult> {
  return join(undefined, items, options)
}

/**
 * The plan of a join with its estimated time and memory, from what the metadata of the tables tells. `queries` is `self` for a
 * self join.
 */
export async function explainJoin(
  queries: TableInput | { self: true },
  items: TableInput,
  { signal, onProgress, to: _, ...options }: KnnJoinOptions = {},
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
  { signal, onProgress, to, ...options }: KnnJoinOptions,
): Promise<JoinResult> {
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
