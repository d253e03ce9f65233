import { join } from 'node:path'
import type { Table } from 'apache-arrow'
import { type EngineCall, StageClock } from '../engine/engine.ts'
import { NighError } from '../errors.ts'
import type { MemoryPlan } from '../join/memory.ts'
import { isOfBits } from '../join/metric.ts'
import type { SinkOptions } from '../merge/neighbor-sink.ts'
import { call, type NativeTable } from '../native.ts'
import { openTable } from '../table/read.ts'
import { type Ids, isVectors, type TableInput } from '../table/source.ts'
import { appended, idTable, without } from './change-items.ts'
import { grown, inOneTable } from './grow-items.ts'
import type { JoinResult } from './join-result.ts'
import {
  checkOutputs,
  finished,
  type OutputOptions,
  openSide,
  readSide,
  requireSameVectors,
  sinkOf,
} from './join-tables.ts'
import { itemColumns, memoryOf } from './knn-fit.ts'
import { type KnnParams, NEAREST_NEIGHBORS_PARAMS, type NearestNeighborsOptions } from './knn-params.ts'
import { type SaveOptions, saveDirectory } from './model-directory.ts'
import { buildItems, type ModelItems, summaries } from './model-items.ts'
import { explain, given } from './params.ts'
import { joinItems, searchItems } from './search-items.ts'

export interface TransformToOptions extends EngineCall {
  /** What to do with an output that exists; only a Delta table can be appended to. Default: as the params say, `error`. */
  mode?: 'error' | 'overwrite' | 'append' | undefined
  /** `mode: 'overwrite'`. */
  force?: boolean | undefined
}

/** What a model is made of. */
export interface Fitted {
  options: NearestNeighborsOptions
  params: KnnParams
  items: ModelItems
  memory: MemoryPlan
}

/** Items ready to be asked. Holds native memory: dispose of it, or leave it to the garbage collector. */
export class KnnModel implements AsyncDisposable {
  /** The class, as manifests name it. */
  readonly kind: string = 'NearestNeighborsModel'
  readonly params: KnnParams
  readonly #options: NearestNeighborsOptions
  #items: ModelItems
  #memory: MemoryPlan
  /** Lists are built once and calls share them: one at a time. */
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  constructor({ options, params, items, memory }: Fitted) {
    this.params = params
    this.#options = options
    this.#items = items
    this.#memory = memory
  }

  get numItems(): number {
    return this.#items.table.numRows
  }

  get dim(): number {
    return this.#items.table.dim
  }

  explainParams(): string {
    return explain(NEAREST_NEIGHBORS_PARAMS, this.#options)
  }

  /** The partitions and how many items each has: a table (partition, size). */
  partitionSummaries(): Table {
    if (this.#disposed) throw disposed()
    return summaries(this.#items, this.params.numPartitions)
  }

  /** The queries with their neighbors in one more column. Every column of the queries is there, unless `outputFormat` is minimal. */
  async transform(queries: TableInput, options: EngineCall = {}): Promise<Table> {
    return (await this.#answer(queries, { ...options, to: undefined })).table()
  }

  /** The same, streamed to a file (Parquet or Arrow IPC, by extension), with a report of recall, time and memory. */
  transformTo(path: string, queries: TableInput, options: TransformToOptions = {}): Promise<JoinResult> {
    return this.#answer(queries, { ...options, to: path })
  }

  /** The neighbors of each query with a report, in the layout and with the columns of a join (`layout`, `queryColumns`). */
  join(queries: TableInput, options: OutputOptions = {}): Promise<JoinResult> {
    return this.#inTurn(() => {
      const { query, queryPartitionsCol } = this.params
      const columns = queryPartitionsCol === undefined ? query.columns : [...query.columns, queryPartitionsCol]
      return this.#search(queries, { columns }, () => sinkOf(this.params, options), options)
    })
  }

  /** The neighbors of each item among the others; of a model of partitions, among those of its own, partition after partition. */
  joinSelf(options: OutputOptions = {}): Promise<JoinResult> {
    return this.#inTurn(async () => {
      const { params } = this
      checkOutputs(options.to, params)
      if (!this.#items.groups && this.#items.parts.length > 1) {
        await this.#replace((await inOneTable(this.#items, options)).table, options)
      }
      const clock = new StageClock()
      const outcome = await joinItems(this.#items, params, this.#memory, sinkOf(params, options), clock, options)
      return finished(this.#items.table, undefined, params, clock, outcome, await this.#duplicates(options), options)
    })
  }

  /**
   * Adds items. One with the id of another takes its place: of several with one id the last stays. Their ids must be of the
   * model's kind. Where the items are in lists, new ones are searched beside them; otherwise, where ids are replaced, and where new
   * ones have become a tenth, the model is prepared anew, which takes about as long as `fit`.
   */
  append(items: TableInput, options: EngineCall = {}): Promise<{ added: number; replaced: number }> {
    return this.#inTurn(() => this.#append(items, options))
  }

  /** Removes the items with these ids, and tells how many there were. */
  delete(ids: Ids, options: EngineCall = {}): Promise<{ deleted: number }> {
    return this.#inTurn(async () => {
      const before = this.numItems
      const table = await idTable(ids, options)
      const held = await inOneTable(this.#items, options)
      const rest = await without(held, table, options).finally(() => {
        table.dispose()
        held.dispose()
      })
      await this.#replace(rest, options)
      return { deleted: before - this.numItems }
    })
  }

  /** Saves the model in a directory, which appears complete or not at all. Errors: MODEL_EXISTS, NOT_A_MODEL, DISK_FULL. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return this.#inTurn(() =>
      saveDirectory(path, options, async (directory) => {
        const { signal } = options
        const { table, parts, groups } = this.#items
        const vectorCol = this.params.item.featuresCol ?? 'vector'
        const file = join(directory, 'items.arrow')
        const held = await inOneTable(this.#items, { signal })
        const write = () =>
          call((native, job) => native.writeItems(file, held.table, held.vectors, vectorCol, job), { signal })
        await write().finally(() => held.dispose())
        const facts = {
          metric: this.params.metric,
          dim: table.dim,
          numItems: table.numRows,
          numPartitions: groups ? parts.length : this.params.numPartitions,
          idCol: table.idCol,
          idType: table.idType,
          // Those of new items beside the lists are for few.
          effort: (groups ? parts : parts.slice(0, 1)).map(({ usual }) => usual ?? null),
        }
        const { initialModelPath: _, ...params } = given(this.#options)
        return { kind: this.kind, params, facts }
      }),
    )
  }

  /** Frees the native memory, after the calls that still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#queue.catch(() => {})
    this.#items.dispose()
  }

  #answer(queries: TableInput, options: OutputOptions & TransformToOptions): Promise<JoinResult> {
    return this.#inTurn(() => {
      const mode = options.mode ?? (options.force ? 'overwrite' : this.params.mode)
      const params = { ...this.params, mode, force: mode === 'overwrite' }
      const { outputFormat, queryPartitionsCol, predictionCol } = params
      const minimal = outputFormat === 'minimal'
      const columns = minimal && queryPartitionsCol !== undefined ? [queryPartitionsCol] : []
      const shape = (table: NativeTable): SinkOptions => {
        const carried = minimal ? [] : table.columns
        if (carried.includes(predictionCol) || (minimal && table.idCol === predictionCol)) {
          const text = `the queries have a column "${predictionCol}" already: name another predictionCol, or leave theirs out`
          throw new NighError('COLUMN_CONFLICT', text)
        }
        const sink = { ...sinkOf(params, options), layout: 'nested' as const, listName: predictionCol }
        // Plain vectors have no columns: their ids are all there is to tell them by.
        return { ...sink, queryColumns: carried, withoutQueryId: carried.length > 0 }
      }
      return this.#search(queries, { columns, allColumns: !minimal }, shape, options, params)
    })
  }

  async #search(
    queries: TableInput,
    { columns, allColumns = false }: { columns: readonly string[]; allColumns?: boolean },
    shape: (queries: NativeTable) => SinkOptions,
    options: OutputOptions,
    params: KnnParams = this.params,
  ): Promise<JoinResult> {
    const clock = new StageClock()
    checkOutputs(options.to, params)
    const { onInvalid, threads, query, excludeSelf } = params
    const bits = isOfBits(params.metric)
    const reading = { ...query, bits, columns: [...new Set(columns)], allColumns, onInvalid, threads, side: 'query' }
    if (excludeSelf && !isVectors(queries)) reading.idCol ??= 'id'
    const open = await openTable(queries, reading, { signal: options.signal })
    const table = await readSide(open, this.#memory, clock, options)
    try {
      const items = this.#items
      requireSameVectors(table, items.table, params.metric)
      const outcome = await searchItems(items, table, params, this.#memory, shape(table), clock, options)
      return await finished(items.table, table, params, clock, outcome, await this.#duplicates(options), options)
    } finally {
      table.dispose()
    }
  }

  #duplicates({ signal }: EngineCall): Promise<number> {
    return call(() => this.#items.table.countDuplicateIds(), { signal })
  }

  async #append(items: TableInput, options: EngineCall): Promise<{ added: number; replaced: number }> {
    const { params } = this
    const clock = new StageClock()
    const open = await openSide(items, params, 'item', options, itemColumns(params))
    const table = await readSide(open, this.#memory, clock, options)
    try {
      const before = this.numItems
      const items = await grown(this.#items, table, params, this.#memory, clock, options)
      if (items) {
        this.#items = items
        return { added: this.numItems - before, replaced: 0 }
      }
      const held = await inOneTable(this.#items, options)
      const { merged, replaced } = await appended(held, table, options).finally(() => held.dispose())
      await this.#replace(merged, options)
      return { added: this.numItems - before, replaced }
    } finally {
      table.dispose()
    }
  }

  /** Other items from here on. */
  async #replace(table: NativeTable, options: EngineCall): Promise<void> {
    const memory = memoryOf(table, this.params)
    const clock = new StageClock()
    const items = await buildItems(table, this.params, memory, clock, options)
    this.#items.dispose()
    this.#items = items
    this.#memory = memory
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed) return Promise.reject(disposed())
    const turn = this.#queue.catch(() => {}).then(work)
    this.#queue = turn
    return turn
  }
}

const disposed = () => new NighError('DISPOSED', 'the model was disposed of')
