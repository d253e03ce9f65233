import type { Table } from 'apache-arrow'
import { type EngineCall, StageClock } from '../engine/engine.ts'
import { runLocally } from '../engine/local/run.ts'
import { NighError } from '../errors.ts'
import { ItemIndex } from '../indexes/item-index.ts'
import { chooseNumLists } from '../join/cost.ts'
import { type JoinOptions, type JoinParams, joinParams } from '../join/options.ts'
import { planJoin } from '../join/plan.ts'
import { call, callNow, type NativeTable } from '../native.ts'
import { checkOutput, writeRejects } from '../table/output.ts'
import { readTable } from '../table/read.ts'
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

  /** Reads the items, and partitions them where an exact search of as many queries would be slower. */
  async fit(items: TableInput, call: EngineCall = {}): Promise<NearestNeighborsModel> {
    const { params } = this
    const clock = new StageClock()
    const index = await readItems(items, params, clock, call)
    try {
      const rows = index.items.numRows
      const { dim, numDistinct: distinct } = index.items
      const shape = { queries: rows, items: rows, dim, self: false, distinct }
      if (planJoin(shape, params, callNow((native) => native.cpu()).level).method === 'cluster') {
        const onProgress = (progress: { done: number; total: number }) =>
          call.onProgress?.({ stage: 'cluster', ...progress })
        const { seed, threads } = params
        await clock.time('cluster', () =>
          index.cluster(chooseNumLists(distinct), seed, threads, { signal: call.signal, onProgress }),
        )
      }
      return new NearestNeighborsModel(params, index)
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
  /** Lists are built once and calls share them: one at a time. */
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  constructor(params: JoinParams, index: ItemIndex) {
    this.params = params
    this.#index = index
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
      const table = await readQueries(queries, this.params, clock, options)
      try {
        return await joinTables(this.#index, table, this.params, clock, options)
      } finally {
        table.dispose()
      }
    })
  }

  /** The neighbors of each item among the others. */
  joinSelf(options: OutputOptions = {}): Promise<JoinResult> {
    return this.#inTurn(async () => {
      checkOutputs(options.to, this.params)
      return joinTables(this.#index, undefined, this.params, new StageClock(), options)
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
export function checkOutputs(to: string | undefined, { rejects, force }: JoinParams): void {
  for (const path of [to, rejects]) if (path !== undefined) checkOutput(path, force)
}

/** Reads the items of a join into an index, with every column that either side of the result carries of them. */
export async function readItems(
  items: TableInput,
  params: JoinParams,
  clock: StageClock,
  call: EngineCall,
  queryColumns: readonly string[] = [],
): Promise<ItemIndex> {
  const { metric, threads } = params
  const columns = [...new Set([...params.item.columns, ...queryColumns])]
  return clock.time('read', async () => {
    const table = await readSide(items, params, 'item', call, columns)
    try {
      return await ItemIndex.create(table, metric, threads, { signal: call.signal })
    } catch (error) {
      table.dispose()
      throw error
    }
  })
}

export function readQueries(
  queries: TableInput,
  params: JoinParams,
  clock: StageClock,
  call: EngineCall,
): Promise<NativeTable> {
  return clock.time('read', () => readSide(queries, params, 'query', call, params.query.columns))
}

function readSide(
  input: TableInput,
  params: JoinParams,
  side: 'query' | 'item',
  call: EngineCall,
  columns: readonly string[],
): Promise<NativeTable> {
  const { onInvalid, threads } = params
  const onProgress = (progress: { done: number; total: number }) => call.onProgress?.({ stage: 'read', ...progress })
  return readTable(input, { ...params[side], columns, onInvalid, threads, side }, { signal: call.signal, onProgress })
}

/** Joins tables in memory: checks that they fit each other, runs the plan, reports. */
export async function joinTables(
  index: ItemIndex,
  queries: NativeTable | undefined,
  params: JoinParams,
  clock: StageClock,
  options: OutputOptions,
): Promise<JoinResult> {
  const { items } = index
  if (queries && queries.numRows > 0 && items.numRows > 0 && queries.dim !== items.dim) {
    throw new NighError(
      'DIMENSION_MISMATCH',
      `query vectors have ${queries.dim} dimensions; item vectors have ${items.dim}`,
    )
  }
  const { layout, force } = params
  const sink = { path: options.to, layout, columns: params.item.columns, queryColumns: params.query.columns, force }
  const outcome = await runLocally({ index, queries, params }, sink, clock, options)
  const rejected = index.table.rejectedRows + (queries?.rejectedRows ?? 0)
  const rejects = rejected > 0 ? params.rejects : undefined
  if (rejects !== undefined) await writeRejects(rejects, index.table, queries, force, { signal: options.signal })
  const duplicateItemIds = await call(() => index.table.countDuplicateIds(), { signal: options.signal })
  const report = buildReport({ index, queries, params, clock, outcome, path: options.to, rejects, duplicateItemIds })
  return new JoinResult(report, options.to, outcome.written.bytes)
}
