import { existsSync } from 'node:fs'
import type { Table } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import {
  checkDirectory,
  commitDirectory,
  type IndexFacts,
  openDirectory,
  type TunedEffort,
  verifyDirectory,
} from '../indexes/index-directory.ts'
import { disposeSegment, isDeleted, type Segment, withDeleted } from '../indexes/segment.ts'
import { call, callNow, type NativeTable } from '../native.ts'
import { tableFromIpc } from '../table/ipc.ts'
import { checkOutput } from '../table/output.ts'
import type { Ids, TableInput } from '../table/source.ts'
import { idTable, NO_ROW, rowsWhere } from './change-items.ts'
import { building, concatenated, isWorn, lastOfEachId, mergedInto, readItems, together } from './index-items.ts'
import { keepsFor, type NearestItems, type NearestOptions, nearestItems } from './index-nearest.ts'
import { type Effort, INDEX_PARAMS, type IndexParams, indexParams, type OpenParams } from './index-params.ts'
import { type IndexAnswer, type IndexSearchOptions, searchIndex } from './index-search.ts'
import { tuneEffort } from './index-tune.ts'
import { requireSameVectors } from './join-tables.ts'
import type { TransformToOptions } from './knn-model.ts'
import { explain, given } from './params.ts'

/**
 * Items that are indexed once and asked many times: searched, filtered, grown, shrunk, and kept on disk. An index consists of
 * segments that never change: what is appended is one more (or takes small ones in), what is deleted is left out of answers, and
 * out of the index by `compact` or when it is much. Changes are in memory until `save`. Holds native memory: dispose of it, or leave it to the garbage collector.
 */
export class KeptIndex implements AsyncDisposable {
  readonly kind: string
  readonly params: IndexParams
  #facts: IndexFacts
  #segments: Segment[]
  #all: NativeTable | undefined
  /** Where it was read from or written to last, and the change it has seen there. */
  #home: { path: string; generation: number } | undefined
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  private constructor(params: IndexParams, facts: IndexFacts, segments: Segment[]) {
    this.kind = facts.params.kind
    this.params = params
    this.#facts = facts
    this.#segments = segments
  }

  /** Indexes items. */
  static async build(items: TableInput, params: IndexParams, options: EngineCall = {}): Promise<KeptIndex> {
    const table = await readItems(items, params, options)
    const nextId = table.generatedIds ? table.numRows : null
    if (table.generatedIds) callNow((native) => native.numberRows(table, 0))
    const facts: IndexFacts = {
      metric: params.metric,
      dim: table.dim,
      isBits: table.isBits,
      idCol: table.idCol,
      featuresCol: params.featuresCol ?? 'vector',
      nextId,
      params: params.kind,
      efforts: [],
      asks: { k: params.k, effort: params.effort, predictionCol: params.predictionCol },
    }
    const segment = await building(table, facts, params, options)
    return new KeptIndex(params, facts, [segment])
  }

  /** Opens an index on disk: its files are mapped, not read. Errors: NOT_AN_INDEX, CORRUPT_INDEX, INDEX_VERSION. */
  static async open(path: string, { numThreads, ...asked }: OpenParams, options: EngineCall = {}): Promise<KeptIndex> {
    const { facts, segments, generation } = await openDirectory(path, { signal: options.signal })
    // What is not asked for now is as its estimator had it.
    const now = { ...facts.asks, ...given(asked), ...(numThreads === undefined ? {} : { numThreads }) }
    const index = new KeptIndex(
      { ...indexParams('flat', now), metric: facts.metric, kind: facts.params },
      facts,
      segments,
    )
    index.#home = { path, generation }
    return index
  }

  /** Takes over the file of another program. */
  static async import(
    path: string,
    format: string,
    dim: number,
    params: IndexParams,
    { signal }: EngineCall = {},
  ): Promise<KeptIndex> {
    const { metric, threads, kind } = params
    const imported = await call((native) => native.importIndex(path, format, metric, dim, threads), { signal })
    const { index: native, columns, deleted } = imported
    const { numRows } = native
    const numDeleted = deleted.reduce((sum, byte) => sum + bitsSet(byte), 0)
    const segment: Segment = {
      native,
      columns,
      numRows,
      deleted: numDeleted > 0 ? deleted : undefined,
      numDeleted,
      files: undefined,
    }
    const isBits = columns.isBits
    const common = { metric, dim, isBits, idCol: 'id', featuresCol: 'vector', nextId: null, params: kind, efforts: [] }
    return new KeptIndex(params, common, [segment])
  }

  /**
   * Writes the file of another program: `annoy` of a forest, `hnswlib` of an hnsw index. The items are called by their ids where these are
   * whole numbers and the format knows any (hnswlib), else by their row numbers, and their ids and columns go to `path.ids.arrow`.
   * Annoy's items are called by their ids with `byId`: item i is then the one with id i, and the file has room for all up to the
   * highest. Gives the path of the ids, if it is there. Errors: INVALID_OPTION where the index has to be compacted first.
   */
  export(
    format: 'annoy' | 'hnswlib',
    path: string,
    { signal, byId = false }: EngineCall & { byId?: boolean } = {},
  ): Promise<{ ids: string | undefined }> {
    return this.#inTurn(async () => {
      const [only] = this.#segments
      const kind = format === 'annoy' ? 'forest' : 'hnsw'
      if (this.kind !== kind)
        throw invalidOption('format', `${format} files are made of a ${kind} index, not of ${this.kind}`)
      if (this.#segments.length !== 1 || (format === 'annoy' && only!.numDeleted > 0)) {
        throw invalidOption('format', `${format} files have one part, nothing deleted: compact the index first`)
      }
      checkOutput(`${path}.ids.arrow`, 'error')
      if (existsSync(path)) throw new NighError('OUTPUT_EXISTS', `${path}: exists; give another path`)
      const { native, columns, deleted } = only!
      const isById = await call(() => native.export(format, path, columns, deleted, byId), { signal })
      const ids = isById ? undefined : `${path}.ids.arrow`
      if (ids !== undefined) await call((addon, job) => addon.writeItemColumns(ids, columns, job), { signal })
      return { ids }
    })
  }

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    const { kind, threads: numThreads, ...params } = this.params
    return explain(INDEX_PARAMS[kind.kind], { ...params, ...kind, numThreads })
  }

  get numItems(): number {
    return this.#segments.reduce((sum, { numRows, numDeleted }) => sum + numRows - numDeleted, 0)
  }

  get dim(): number {
    return this.#facts.dim
  }

  get metric(): string {
    return this.#facts.metric
  }

  get idCol(): string {
    return this.#facts.idCol
  }

  /** Efforts and the recalls they reached: see `tune`. */
  get efforts(): readonly TunedEffort[] {
    return this.#facts.efforts
  }

  /** The neighbors of each query: with the queries' columns and one more, or as `layout` says. */
  search(queries: TableInput, options: IndexSearchOptions = {}): Promise<IndexAnswer> {
    return this.#inTurn(async () => {
      const k = options.k ?? this.params.k
      const effort = await this.#effort(k, options.effort ?? this.params.effort, options)
      const items = { segments: this.#segments, all: await this.#columns(), facts: this.#facts, params: this.params }
      return searchIndex(items, queries, { ...options, k }, effort)
    })
  }

  /**
   * The nearest items of one vector, on this thread and without tables: for services that answer one query at a time. A recall that
   * was not tuned yet is tuned first, which takes a second or two.
   */
  async nearest(vector: Float32Array, options: NearestOptions = {}): Promise<NearestItems> {
    if (this.#disposed) throw disposed()
    const k = options.k ?? this.params.k
    const asked = options.effort ?? this.params.effort
    // What is known is not waited for.
    const effort = typeof asked === 'number' ? asked : await this.#effort(k, asked, options)
    const segments = this.#segments
    const isWhole = options.filter === undefined && segments.every(({ numDeleted }) => numDeleted === 0)
    const keeps = isWhole ? undefined : await keepsFor(segments, options.filter)
    return nearestItems(segments, this.#facts, vector, { k, maxDistance: options.maxDistance }, effort, keeps)
  }

  /** The nearest items of an item, itself among them. Error UNKNOWN_ID. */
  async nearestTo(id: number | bigint | string, options: NearestOptions = {}): Promise<NearestItems> {
    const found = await this.get([id] as string[], options)
    if (found.numRows === 0) throw new NighError('UNKNOWN_ID', `there is no item ${String(id)}`)
    const vector: Iterable<number> = found.getChild(this.#facts.featuresCol)!.get(0)
    return this.nearest(Float32Array.from(vector), options)
  }

  /** The queries with their neighbors in one more column. */
  async transform(queries: TableInput, options: EngineCall = {}): Promise<Table> {
    return (await this.search(queries, options)).table()
  }

  /** The same, streamed to a file (Parquet or Arrow IPC, by extension) or a Delta table. */
  transformTo(path: string, queries: TableInput, options: TransformToOptions = {}): Promise<IndexAnswer> {
    const { force = false, mode = force ? 'overwrite' : 'error', ...call } = options
    return this.search(queries, { ...call, mode, to: path })
  }

  /** The items with these ids: ids, vectors and columns, in the order of the items. */
  get(ids: Ids, options: EngineCall = {}): Promise<Table> {
    return this.#inTurn(async () => {
      const found = await this.#rowsWithIds(ids, options)
      const { signal } = options
      const take = ({ native, columns }: Segment, i: number) =>
        call(() => native.takeRows(columns, found[i]!), { signal })
      const table = await concatenated(await Promise.all(this.#segments.map(take)), options)
      const vectorCol = this.#facts.featuresCol
      const ipc = await call((native) => native.itemsIpc(table, vectorCol), { signal })
      table.dispose()
      return tableFromIpc(ipc)
    })
  }

  /**
   * Adds items. One with the id of another takes its place: of several with one id the last stays. Where the index numbers its items
   * the new ones get the next numbers.
   */
  append(items: TableInput, options: EngineCall = {}): Promise<{ added: number; replaced: number }> {
    return this.#inTurn(async () => {
      this.#refuseParted()
      const before = this.numItems
      const { params } = this
      const { metric, dim, isBits, idCol, featuresCol, nextId } = this.#facts
      const columns = (await this.#columns()).columns
      const read = await readItems(
        items,
        { ...params, idCol: nextId === null ? idCol : undefined, featuresCol, columns },
        options,
      )
      requireSameVectors(read, { numRows: before, dim, isBits, isOpen: false }, metric)
      let table = read
      // Nothing of the index changes until all of the change is there.
      let facts = this.#facts
      let segments = this.#segments
      let replaced = 0
      if (nextId !== null) {
        if (!table.generatedIds) throw numbered(idCol)
        callNow((native) => native.numberRows(table, nextId))
        facts = { ...facts, nextId: nextId + table.numRows }
      } else {
        if (table.generatedIds && table.numRows > 0) throw unnumbered(idCol)
        table = await lastOfEachId(table, options)
        ;({ segments, deleted: replaced } = await this.#without(table, options))
      }
      // Small segments go into the new one, so that there are never many.
      const { large, small } = mergedInto(segments, table.numRows, facts.params)
      const last = await together(small, table, facts, params, options)
      this.#replace([...(await this.#mended(large, options)), last], facts)
      return { added: this.numItems - before, replaced }
    })
  }

  /** Removes the items with these ids, and tells how many there were. */
  delete(ids: Ids, options: EngineCall = {}): Promise<{ deleted: number }> {
    return this.#inTurn(async () => {
      const table = await idTable(ids, options)
      try {
        const { segments, deleted } = await this.#without(table, options)
        const mended = await this.#mended(segments, options)
        if (mended.some((segment, i) => segment !== segments[i])) this.#replace(mended, this.#facts)
        else this.#segments = segments
        return { deleted }
      } finally {
        table.dispose()
      }
    })
  }

  /** Makes one segment of all that is not deleted: searches are as fast as after `fit`, and no room is lost. */
  compact(options: EngineCall = {}): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseParted()
      if (this.#segments.length === 1 && this.#segments[0]!.numDeleted === 0) return
      const whole = await together(this.#segments, undefined, this.#facts, this.params, options)
      this.#replace([whole], this.#facts)
    })
  }

  /**
   * Finds the least effort that reaches a recall, on rows of the index that ask for others, and keeps it for searches that ask for
   * that recall. `save` keeps it on disk.
   */
  tune(recall: number, { k = this.params.k, ...options }: { k?: number } & EngineCall = {}): Promise<TunedEffort> {
    return this.#inTurn(() => this.#tune(k, recall, options))
  }

  /** Facts of each segment. */
  stats(): Record<string, number>[] {
    if (this.#disposed) throw disposed()
    return this.#segments.map(({ native, numDeleted }) => ({
      ...(JSON.parse(callNow(() => native.stats())) as Record<string, number>),
      numDeleted,
    }))
  }

  /**
   * Keeps the index in a directory. Without a path, where it was opened or saved last: only what is new is written, and it appears
   * as a whole. Errors: INDEX_EXISTS, INDEX_CHANGED where another process changed it meanwhile, DISK_FULL.
   */
  save(path?: string, options: { overwrite?: boolean | undefined } & EngineCall = {}): Promise<void> {
    return this.#inTurn(async () => {
      const home = path === undefined || path === this.#home?.path ? this.#home : undefined
      const target = path ?? home?.path
      if (target === undefined) throw new NighError('INVALID_OPTION', 'path: the index has no directory yet: name one')
      if (!home) await checkDirectory(target, options)
      const segments = home ? this.#segments : this.#segments.map((segment) => ({ ...segment, files: undefined }))
      const generation = await commitDirectory(target, this.#facts, segments, home?.generation, {
        signal: options.signal,
      })
      this.#segments = segments
      this.#home = { path: target, generation }
    })
  }

  /** Writes a copy of the index to a new directory, which it has nothing to do with afterwards. Errors: as those of `save`. */
  saveCopy(path: string, { signal }: EngineCall = {}): Promise<void> {
    return this.#inTurn(async () => {
      await checkDirectory(path)
      const segments = this.#segments.map((segment) => ({ ...segment, files: undefined }))
      await commitDirectory(path, this.#facts, segments, undefined, { signal })
    })
  }

  /** Reads every byte of the index on disk. Errors: CORRUPT_INDEX. */
  static verify(path: string, { signal, onProgress }: EngineCall = {}): Promise<void> {
    onProgress?.({ stage: 'verify', done: 0, total: 0 })
    return verifyDirectory(path, { signal })
  }

  /** Frees the native memory, after the calls that still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#queue.catch(() => {})
    for (const segment of this.#segments) disposeSegment(segment)
    this.#all?.dispose()
  }

  /** Ids and columns of all segments, one behind the other. */
  async #columns(): Promise<NativeTable> {
    this.#all ??= await call((native) => native.concatItemColumns(this.#segments.map(({ columns }) => columns)), {})
    return this.#all
  }

  /** Segments of other partitions do not become one. */
  #refuseParted(): void {
    const { partitionCol } = this.#facts
    if (partitionCol === undefined) return
    throw invalidOption(
      'partitionCol',
      `the items are in partitions by "${partitionCol}": change them by SparkKnnModel`,
    )
  }

  /** Other segments from here on: those that are gone are disposed of, and efforts have to be found anew. */
  #replace(segments: Segment[], facts: IndexFacts): void {
    const stay = new Set(segments.map(({ native }) => native))
    for (const segment of this.#segments) if (!stay.has(segment.native)) disposeSegment(segment)
    this.#segments = segments
    this.#facts = { ...facts, efforts: [] }
    this.#all?.dispose()
    this.#all = undefined
  }

  async #effort(k: number, effort: Effort, options: EngineCall): Promise<number | undefined> {
    if (this.#segments.every(({ native }) => native.isExact)) return undefined
    if (typeof effort === 'number') return effort
    const known = this.#facts.efforts.find((one) => one.k === k && one.recall === effort.recall)
    return (known ?? (await this.#tune(k, effort.recall, options))).effort
  }

  async #tune(k: number, recall: number, options: EngineCall): Promise<TunedEffort> {
    const { seed } = this.#facts.params
    const tuned = await tuneEffort(this.#segments, { k, recall, seed, threads: this.params.threads }, options)
    const others = this.#facts.efforts.filter((one) => one.k !== k || one.recall !== recall)
    this.#facts = { ...this.#facts, efforts: [...others, tuned] }
    return tuned
  }

  /** The rows of each segment whose ids a table has, without those that are deleted. */
  async #rowsWithIds(ids: Ids | NativeTable, { signal }: EngineCall): Promise<Uint32Array[]> {
    const table = isNative(ids) ? ids : await idTable(ids, { signal })
    const rows: Uint32Array[] = []
    try {
      for (const segment of this.#segments) {
        const matches = await call((native) => native.matchIds(table, segment.columns), { signal })
        const found = rowsWhere(matches.own, (own, row) => own !== NO_ROW && !isDeleted(segment, row))
        matches.dispose()
        rows.push(found)
      }
    } finally {
      if (table !== ids) table.dispose()
    }
    return rows
  }

  /** The segments without the rows whose ids a table has, and how many those are. */
  async #without(ids: NativeTable, options: EngineCall): Promise<{ segments: Segment[]; deleted: number }> {
    const rows = await this.#rowsWithIds(ids, options)
    const segments = this.#segments.map((segment, i) =>
      rows[i]!.length > 0 ? withDeleted(segment, rows[i]!) : segment,
    )
    return { segments, deleted: rows.reduce((sum, found) => sum + found.length, 0) }
  }

  /** Segments that lost much are made anew of the rest. */
  async #mended(segments: readonly Segment[], options: EngineCall): Promise<Segment[]> {
    const mended: Segment[] = []
    for (const segment of segments) {
      const worn = isWorn(segment, this.#facts.params)
      if (!worn) mended.push(segment)
      else {
        const whole = await together([segment], undefined, this.#facts, this.params, options)
        mended.push({ ...whole, partition: segment.partition })
      }
    }
    return mended
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed) return Promise.reject(disposed())
    const turn = this.#queue.catch(() => {}).then(work)
    this.#queue = turn
    return turn
  }
}

const bitsSet = (byte: number): number => (byte === 0 ? 0 : (byte & 1) + bitsSet(byte >> 1))

const disposed = () => new NighError('DISPOSED', 'the index was disposed of')

const isNative = (ids: Ids | NativeTable): ids is NativeTable => 'generatedIds' in ids

const numbered = (idCol: string) =>
  new NighError('COLUMN_CONFLICT', `the index numbers its items; the new ones have ids of their own ("${idCol}")`)

const unnumbered = (idCol: string) =>
  new NighError('COLUMN_NOT_FOUND', `the new items have no id column "${idCol}", as those of the index have`)
