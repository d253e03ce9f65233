import {
  type CallOptions,
  call,
  type Metric,
  type NativeClusters,
  type NativeItems,
  type NativeTable,
} from '../native.ts'

/** The items of a join in native memory: vectors ready to search, the other columns, and lists once they are built. */
export class ItemIndex {
  readonly metric: Metric
  /** Ids and carried columns; its vectors are in `items`. */
  readonly table: NativeTable
  readonly items: NativeItems
  #clusters: NativeClusters | undefined

  private constructor(metric: Metric, table: NativeTable, items: NativeItems) {
    this.metric = metric
    this.table = table
    this.items = items
  }

  /** Takes over a table: its vectors move, and it is disposed of with the index. */
  static async create(table: NativeTable, metric: Metric, threads: number, options: CallOptions): Promise<ItemIndex> {
    const items = await call((native, job) => native.newItems(table, metric, threads, job), options)
    return new ItemIndex(metric, table, items)
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

  dispose(): void {
    this.#clusters?.dispose()
    this.items.dispose()
    this.table.dispose()
  }
}
