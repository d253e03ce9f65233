import {
  type CallOptions,
  call,
  type DistanceFunction,
  type Metric,
  type NativeClusters,
  type NativeItems,
  type NativeTable,
  type RowRange,
} from '../native.ts'
import { Rows } from './rows.ts'

/** The items of a join in native memory: vectors ready to search, the other columns, and lists once they are built. */
export class ItemIndex {
  readonly metric: Metric
  /** Ids and carried columns; its vectors are in `items`. */
  readonly table: NativeTable
  readonly items: NativeItems
  /** Of a metric of the caller's own: the function, and the vectors for it. */
  readonly custom: { distance: DistanceFunction; rows: Rows } | undefined
  readonly #ownsTable: boolean
  #clusters: NativeClusters | undefined
  #duplicateIds: number | undefined

  private constructor(
    metric: Metric | DistanceFunction,
    table: NativeTable,
    items: NativeItems,
    rows: Rows | undefined,
    ownsTable: boolean,
  ) {
    const named = typeof metric !== 'function'
    this.metric = named ? metric : 'custom'
    this.custom = named ? undefined : { distance: metric, rows: rows! }
    this.table = table
    this.items = items
    this.#ownsTable = ownsTable
  }

  /** Takes over a table: its vectors move, and it is disposed of with the index. */
  static async create(
    table: NativeTable,
    metric: Metric | DistanceFunction,
    threads: number,
    options: CallOptions,
  ): Promise<ItemIndex> {
    const rows = typeof metric === 'function' ? new Rows(table) : undefined
    const items = await call((native, job) => native.newItems(table, nativeName(metric), threads, job), options)
    return new ItemIndex(metric, table, items, rows, true)
  }

  /** An index of some rows of a table, numbered from the first of them. Their vectors are copied; the table stays the caller's. */
  static async ofRows(
    table: NativeTable,
    range: RowRange,
    metric: Metric | DistanceFunction,
    threads: number,
    options: CallOptions,
  ): Promise<ItemIndex> {
    const rows = typeof metric === 'function' ? new Rows(table, range.first, range.count) : undefined
    const items = await call((native, job) => native.newItems(table, nativeName(metric), threads, job, range), options)
    return new ItemIndex(metric, table, items, rows, false)
  }

  get clusters(): NativeClusters | undefined {
    return this.#clusters
  }

  /** Partitions the items, unless that is done already. */
  async cluster(numLists: number, seed: number, threads: number, options: CallOptions): Promise<NativeClusters> {
    this.#clusters ??= await call(
      (native, job) => native.buildClusters(this.items, numLists, seed, threads, job),
      options,
    )
    return this.#clusters
  }

  /** Items with an id that an item before them has: counted once. */
  async countDuplicateIds(options: CallOptions): Promise<number> {
    this.#duplicateIds ??= await call(() => this.table.countDuplicateIds(), options)
    return this.#duplicateIds
  }

  dispose(): void {
    this.#clusters?.dispose()
    this.items.dispose()
    if (this.#ownsTable) this.table.dispose()
  }
}

/** What native code takes items for that it does not search. */
function nativeName(metric: Metric | DistanceFunction): Metric {
  return typeof metric === 'function' ? 'l2' : metric
}
