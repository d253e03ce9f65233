// The local engine in a task, over files of blocks: candidates of every query, its vectors where the memory of the task has room for them.
import { StageClock } from '../../engine/engine.ts'
import { runInBlocks } from '../../engine/local/blocks.ts'
import { type LocalOutcome, runLocally } from '../../engine/local/run.ts'
import type { JoinParams } from '../../join/options.ts'
import type { NeighborTarget } from '../../merge/neighbor-sink.ts'
import type { NativeTable } from '../../native.ts'
import { openSide, planned, prepareSpilling, readItems, readSide, requireSameVectors } from '../join-tables.ts'

/** Files of the rows of a side, in order. */
export interface TaskTables {
  items: readonly string[]
  /** Undefined: the items ask. */
  queries: readonly string[] | undefined
  itemColumns: readonly string[]
}

/** Searches, and gives what it finds to a target made for both tables. Rows are known by their `ROW`. */
export async function searchTables(
  { items, queries, itemColumns }: TaskTables,
  params: JoinParams,
  targetOf: (items: NativeTable, queries: NativeTable) => NeighborTarget,
): Promise<LocalOutcome> {
  const [clock, call] = [new StageClock(), {}]
  const held: { dispose(): void }[] = []
  const hold = <T extends { dispose(): void }>(value: T) => {
    held.push(value)
    return value
  }
  const open = async (files: readonly string[], side: 'item' | 'query', columns: readonly string[]) => {
    const opened = await openSide([...files], params, side, call, columns)
    hold(opened.native)
    return opened
  }
  const sink = (table: NativeTable, asked: NativeTable | undefined) => ({
    layout: params.layout,
    columns: [],
    queryColumns: [],
    force: false,
    mode: 'error' as const,
    into: targetOf(table, asked ?? table),
  })
  try {
    const itemsOpen = await open(items, 'item', itemColumns)
    const queriesOpen = queries && (await open(queries, 'query', []))
    const memory = planned(itemsOpen, queriesOpen, params, [])
    prepareSpilling(memory)
    const readQueries = async () => queriesOpen && hold(await readSide(queriesOpen, memory, clock, call))
    if (memory.way === 'blocks') {
      const table = hold(await readSide(itemsOpen, memory, clock, call))
      const asked = await readQueries()
      return await runInBlocks({ items: table, queries: asked, params, memory }, sink(table, asked), clock, call)
    }
    const index = hold(await readItems(itemsOpen, memory, params, clock, call))
    const asked = await readQueries()
    if (asked) requireSameVectors(asked, index.table, params.metric)
    return await runLocally({ index, queries: asked, params, memory }, sink(index.table, asked), clock, call)
  } finally {
    for (const value of held.reverse()) value.dispose()
  }
}
