// The steps that joins and models share: open, plan the memory, read, run, report.
import type { EngineCall, StageClock } from '../engine/engine.ts'
import { type BlockJoin, runInBlocks } from '../engine/local/blocks.ts'
import { type LocalOutcome, runLocally } from '../engine/local/run.ts'
import { NighError } from '../errors.ts'
import { ItemIndex } from '../indexes/item-index.ts'
import { formatBytes } from '../join/explain.ts'
import { type MemoryPlan, planMemory, requireRoom } from '../join/memory.ts'
import { isOfBits } from '../join/metric.ts'
import type { JoinParams } from '../join/options.ts'
import type { SinkOptions } from '../merge/neighbor-sink.ts'
import { call, type Metric, type NativeTable, type TableSize } from '../native.ts'
import { checkOutput, temporaryRoom, writeRejects } from '../table/output.ts'
import { type OpenTable, openTable, readOpenTable } from '../table/read.ts'
import type { TableInput } from '../table/source.ts'
import { JoinResult } from './join-result.ts'
import { buildReport } from './report.ts'

export interface OutputOptions extends EngineCall {
  /** Write the neighbors there (Parquet or Arrow IPC, by extension; a Delta table with `delta:` in front) instead of giving them back. */
  to?: string | undefined
}

/** Fails early where an output could only fail late. */
export function checkOutputs(to: string | undefined, { rejects, force, mode }: JoinParams): void {
  if (to !== undefined) checkOutput(to, mode)
  if (rejects !== undefined) checkOutput(rejects, force ? 'overwrite' : 'error')
}

/** Opens a side of a join: its columns and its size. */
export async function openSide(
  input: TableInput,
  params: JoinParams,
  side: 'query' | 'item',
  call: EngineCall,
  columns: readonly string[],
): Promise<OpenTable> {
  const { onInvalid, threads } = params
  const unique = [...new Set(columns)]
  const bits = isOfBits(params.metric)
  const reading = { ...params[side], bits, columns: unique, onInvalid, threads, side }
  return openTable(input, reading, { signal: call.signal })
}

/** Where the vectors of a join go. What was opened is given up where nothing will do. A model's items are all searched at once. */
export function planned(
  items: OpenTable,
  queries: OpenTable | undefined,
  params: JoinParams,
  opened: readonly OpenTable[],
): MemoryPlan {
  const { recall, exact, threads, memory: budget, tmp } = params
  const k = Math.min(params.k, Math.max(1, items.native.size.rows))
  const size = items.native.size
  try {
    const asked = queries?.native.size
    if (asked) requireSameVectors({ ...asked, numRows: asked.rows }, { ...size, numRows: size.rows }, params.metric)
    const plan = planMemory({
      items: stored(size),
      queries: asked && stored(asked),
      k,
      recall,
      exact,
      threads,
      budget,
      tmp,
    })
    if (plan.way !== 'memory' && (size.isSparse || asked?.isSparse)) throw tooSmallForSparse(plan)
    return plan
  } catch (error) {
    for (const table of opened) table.native.dispose()
    throw error
  }
}

/** Bits take as much as so many numbers. */
function stored(size: TableSize): TableSize {
  return { ...size, dim: size.rowBytes / 4 }
}

/** Before anything is read: whether the temporary files fit where they go. */
export function prepareSpilling(memory: MemoryPlan): void {
  if (memory.way !== 'memory') requireRoom(memory, temporaryRoom(memory.tmp))
}

function tooSmallForSparse({ budget }: MemoryPlan): NighError {
  const message = `${formatBytes(budget)} of memory do not hold the sparse vectors, which are not spilled: give more (--memory)`
  return new NighError('MEMORY_TOO_SMALL', message)
}

export function tooSmallForModel({ budget }: MemoryPlan): NighError {
  const message = `${formatBytes(budget)} of memory do not hold what a model searches; a single join works in blocks (knnJoin, nigh join)`
  return new NighError('MEMORY_TOO_SMALL', message)
}

type Side = Pick<NativeTable, 'numRows' | 'dim' | 'isBits' | 'isOpen'>

/** Vectors of the same length, and numbers or bits on both sides. Items keep their table when their vectors move. */
export function requireSameVectors(queries: Side, items: Side, metric: Metric): void {
  if (queries.numRows === 0 || items.numRows === 0) return
  if (queries.isBits !== items.isBits) {
    const of = (bits: boolean) => (bits ? 'bits' : 'numbers')
    const message = `query vectors are ${of(queries.isBits)}; item vectors are ${of(items.isBits)}: give both in one form`
    throw new NighError('COLUMN_TYPE', message)
  }
  // What is not written down is 0: but for the mean, more zeros change nothing.
  const shorter = queries.dim < items.dim ? queries : items
  if (queries.dim === items.dim || (shorter.isOpen && metric !== 'correlation')) return
  throw clash(queries.dim, items.dim)
}

function clash(queryDim: number, itemDim: number): NighError {
  const message = `query vectors have ${queryDim} dimensions; item vectors have ${itemDim}`
  return new NighError('DIMENSION_MISMATCH', message)
}

/** Reads a side of a join. */
export function readSide(
  open: OpenTable,
  memory: MemoryPlan,
  clock: StageClock,
  call: EngineCall,
): Promise<NativeTable> {
  const { way, tmp: dir, residentBytes } = memory
  const spilling = way === 'memory' ? undefined : { dir, residentBytes }
  const onProgress = (progress: { done: number; total: number }) => call.onProgress?.({ stage: 'read', ...progress })
  return clock.time('read', () => readOpenTable(open, spilling, { signal: call.signal, onProgress }))
}

/** Reads the items of a join into an index. */
export async function readItems(
  open: OpenTable,
  memory: MemoryPlan,
  params: JoinParams,
  clock: StageClock,
  call: EngineCall,
): Promise<ItemIndex> {
  const table = await readSide(open, memory, clock, call)
  try {
    const { metric, distance, threads } = params
    return await clock.time('read', () => ItemIndex.create(table, distance ?? metric, threads, { signal: call.signal }))
  } catch (error) {
    table.dispose()
    throw error
  }
}

/** Joins tables that were read: checks that they fit each other, runs the plan, reports. */
export async function joinTables(
  index: ItemIndex,
  queries: NativeTable | undefined,
  params: JoinParams,
  memory: MemoryPlan,
  clock: StageClock,
  options: OutputOptions,
): Promise<JoinResult> {
  if (queries) requireSameVectors(queries, index.table, params.metric)
  const sink = sinkOf(params, options)
  const outcome = await runLocally({ index, queries, params, memory }, sink, clock, options)
  const duplicates = await index.countDuplicateIds({ signal: options.signal })
  return finished(index.table, queries, params, clock, outcome, duplicates, options)
}

/** Joins tables in temporary files, the items block by block. */
export async function joinBlocks(join: BlockJoin, clock: StageClock, options: OutputOptions): Promise<JoinResult> {
  const { items, queries, params } = join
  if (queries) requireSameVectors(queries, items, params.metric)
  const outcome = await runInBlocks(join, sinkOf(params, options), clock, options)
  const duplicates = await call(() => items.countDuplicateIds(), { signal: options.signal })
  return finished(items, queries, params, clock, outcome, duplicates, options)
}

export function sinkOf({ layout, force, mode, item, query }: JoinParams, { to }: OutputOptions): SinkOptions {
  return { path: to, layout, columns: item.columns, queryColumns: query.columns, force, mode }
}

/** The result with its report; rows that reading dropped are written where asked. */
export async function finished(
  items: NativeTable,
  queries: NativeTable | undefined,
  params: JoinParams,
  clock: StageClock,
  outcome: LocalOutcome,
  duplicateItemIds: number,
  { to, signal }: OutputOptions,
): Promise<JoinResult> {
  const rejected = items.rejectedRows + (queries?.rejectedRows ?? 0)
  const rejects = rejected > 0 ? params.rejects : undefined
  if (rejects !== undefined) await writeRejects(rejects, items, queries, params.force, { signal })
  const facts = { index: { table: items }, queries, params, clock, outcome, path: to, rejects, duplicateItemIds }
  return new JoinResult(buildReport(facts), to, outcome.written.bytes)
}
