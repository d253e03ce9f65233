import type { Table } from 'apache-arrow'
import { type EngineCall, StageClock } from '../engine/engine.ts'
import { type BlockJoin, runInBlocks } from '../engine/local/blocks.ts'
import { type LocalOutcome, runLocally } from '../engine/local/run.ts'
import { type UsualEffort, usualEffort } from '../engine/local/usual.ts'
import { NighError } from '../errors.ts'
import { ItemIndex } from '../indexes/item-index.ts'
import { chooseNumLists } from '../join/cost.ts'
import { formatBytes } from '../join/explain.ts'
import { type MemoryPlan, planMemory, requireRoom } from '../join/memory.ts'
import { type JoinOptions, type JoinParams, joinParams } from '../join/options.ts'
import { planJoin } from '../join/plan.ts'
import type { SinkOptions } from '../merge/neighbor-sink.ts'
import { call, callNow, type NativeTable } from '../native.ts'
import { checkOutput, temporaryRoom, writeRejects } from '../table/output.ts'
import { type OpenTable, openTable, readOpenTable } from '../table/read.ts'
import type { TableInput } from '../table/source.ts'
import { JoinResult } from './join-result.ts'
import { buildReport } from './report.ts'

export interface OutputOptions extends EngineCall {
  /** Write the neighbors there (Parquet or Arrow IPC, by extension) instead of giving them back. */
  to?: string | undefined
}

/** Finds the k nearest items of each query, exactly or at a recall asked for. `fit` reads the items, `transform` the queries. */
export class NearestNeighbors {
  readonly params: JoinParams

  /** Checks the options: throws `INVALID_OPTION`. */
  constructor(options: JoinOptions = {}) {
    this.params = joinParams(options)
  }

  /**
   * Reads the items, and partitions them where an exact search of as many queries would be slower: then it also finds out, on
   * samples of the items, how much of the partitions batches of few queries have to search.
   */
  async fit(items: TableInput, call: EngineCall = {}): Promise<NearestNeighborsModel> {
    const { params } = this
    const clock = new StageClock()
    const open = await openSide(items, params, 'item', call, params.item.columns)
    const memory = planned(open, undefined, params, [open])
    if (memory.way === 'blocks') {
      open.native.dispose()
      throw tooSmallForModel(memory)
    }
    prepareSpilling(memory)
    const index = await readItems(open, memory, params, clock, call)
    try {
      const rows = index.items.numRows
      const { dim, numDistinct: distinct } = index.items
      let usual: UsualEffort | undefined
      const shape = { queries: rows, items: rows, dim, self: false, distinct }
      if (planJoin(shape, params, callNow((native) => native.cpu()).level).method === 'cluster') {
        const onProgress = (progress: { done: number; total: number }) =>
          call.onProgress?.({ stage: 'cluster', ...progress })
        const { seed, threads } = params
        await clock.time('cluster', () =>
          index.cluster(chooseNumLists(distinct), seed, threads, { signal: call.signal, onProgress }),
        )
        if (!params.plan) {
          index.items.limitSpareBytes(memory.spareBytes)
          usual = await usualEffort(index, params, clock, call)
        }
      }
      return new NearestNeighborsModel(params, index, memory, usual)
    } catch (error) {
      index.dispose()
      throw error
    }
  }
}

/** Items ready to be asked. Holds native memory: dispose of it, or leave it to the garbage collector. */
export class NearestNeighborsModel implements AsyncDisposable {
  readonly params: JoinParams
  readonly #index: ItemIndex
  readonly #memory: MemoryPlan
  /** For batches of few queries. */
  readonly #usual: UsualEffort | undefined
  /** Lists are built once and calls share them: one at a time. */
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  constructor(params: JoinParams, index: ItemIndex, memory: MemoryPlan, usual: UsualEffort | undefined) {
    this.params = params
    this.#index = index
    this.#memory = memory
    this.#usual = usual
  }

  get numItems(): number {
    return this.#index.items.numRows
  }

  /** The neighbors of each query, as an Arrow table. */
  async transform(queries: TableInput, call: EngineCall = {}): Promise<Table> {
    return (await this.join(queries, { ...call, to: undefined })).table()
  }

  /** The neighbors of each query with a report of recall, time and memory; streamed to a path if `to` is given. */
  join(queries: TableInput, options: OutputOptions = {}): Promise<JoinResult> {
    return this.#inTurn(async () => {
      const clock = new StageClock()
      checkOutputs(options.to, this.params)
      const open = await openSide(queries, this.params, 'query', options, this.params.query.columns)
      const table = await readSide(open, this.#memory, clock, options)
      try {
        return await joinTables(this.#index, table, this.params, this.#memory, clock, options, this.#usual)
      } finally {
        table.dispose()
      }
    })
  }

  /** The neighbors of each item among the others. */
  joinSelf(options: OutputOptions = {}): Promise<JoinResult> {
    return this.#inTurn(async () => {
      checkOutputs(options.to, this.params)
      return joinTables(this.#index, undefined, this.params, this.#memory, new StageClock(), options)
    })
  }

  /** Frees the native memory, after the calls that still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#queue.catch(() => {})
    this.#index.dispose()
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed) return Promise.reject(new NighError('DISPOSED', 'the model was disposed of'))
    const turn = this.#queue.catch(() => {}).then(work)
    this.#queue = turn
    return turn
  }
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
  return openTable(input, { ...params[side], columns: unique, onInvalid, threads, side }, { signal: call.signal })
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
    if (asked && asked.rows > 0 && size.rows > 0 && asked.dim !== size.dim) throw clash(asked.dim, size.dim)
    return planMemory({
      items: size,
      queries: asked,
      k,
      recall,
      exact,
      threads,
      budget,
      tmp,
    })
  } catch (error) {
    for (const table of opened) table.native.dispose()
    throw error
  }
}

/** Before anything is read: whether the temporary files fit where they go. */
export function prepareSpilling(memory: MemoryPlan): void {
  if (memory.way !== 'memory') requireRoom(memory, temporaryRoom(memory.tmp))
}

function tooSmallForModel({ budget }: MemoryPlan): NighError {
  const message = `${formatBytes(budget)} of memory do not hold what a model searches; a single join works in blocks (knnJoin, nigh join)`
  return new NighError('MEMORY_TOO_SMALL', message)
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
    const { metric, threads } = params
    return await clock.time('read', () => ItemIndex.create(table, metric, threads, { signal: call.signal }))
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
  usual?: UsualEffort | undefined,
): Promise<JoinResult> {
  const { items } = index
  if (queries && queries.numRows > 0 && items.numRows > 0 && queries.dim !== items.dim) {
    throw clash(queries.dim, items.dim)
  }
  const sink = sinkOf(params, options)
  const outcome = await runLocally({ index, queries, params, memory, usual }, sink, clock, options)
  const duplicates = await index.countDuplicateIds({ signal: options.signal })
  return finished(index.table, queries, params, clock, outcome, duplicates, options)
}

/** Joins tables in temporary files, the items block by block. */
export async function joinBlocks(join: BlockJoin, clock: StageClock, options: OutputOptions): Promise<JoinResult> {
  const { items, queries, params } = join
  const outcome = await runInBlocks(join, sinkOf(params, options), clock, options)
  const duplicates = await call(() => items.countDuplicateIds(), { signal: options.signal })
  return finished(items, queries, params, clock, outcome, duplicates, options)
}

function sinkOf({ layout, force, mode, item, query }: JoinParams, { to }: OutputOptions): SinkOptions {
  return { path: to, layout, columns: item.columns, queryColumns: query.columns, force, mode }
}

async function finished(
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
