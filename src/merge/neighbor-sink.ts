import type { ItemIndex } from '../indexes/item-index.ts'
import {
  addon,
  type CallOptions,
  call,
  callNow,
  type NativeJob,
  type NativeNeighbors,
  type NativeTable,
  type NativeWritten,
} from '../native.ts'

export interface SinkOptions {
  /** Where to; IPC bytes in memory if absent. */
  path?: string | undefined
  layout: 'nested' | 'long'
  columns: readonly string[]
  queryColumns: readonly string[]
  force: boolean
  mode: 'error' | 'overwrite' | 'append'
  /** Name of the list of neighbors. Default `neighbors`. */
  listName?: string | undefined
  /** Leave out the queries' ids, unless they are among the columns. */
  withoutQueryId?: boolean | undefined
  /** Where the neighbors go instead of into a table. */
  into?: NeighborTarget | undefined
}

/** What takes blocks of neighbors, in the order of the queries: the native writer, or what merges the answers of partitions. */
export interface NeighborTarget {
  write(first: number, neighbors: NativeNeighbors, job: NativeJob): Promise<void> | void
  finish(): Promise<NativeWritten> | NativeWritten
  dispose(): void
}

/**
 * Turns blocks of neighbors into a table: the query's id and columns, the neighbors' ids, columns and distances. Complete or
 * absent: the output appears at `finish`.
 */
export class NeighborSink {
  readonly #writer: NeighborTarget

  private constructor(writer: NeighborTarget) {
    this.#writer = writer
  }

  /** `queries` is undefined in a self join. */
  static create(index: Pick<ItemIndex, 'table'>, queries: NativeTable | undefined, options: SinkOptions): NeighborSink {
    const { path, layout, columns, queryColumns, force, mode, listName, withoutQueryId, into } = options
    if (into) return new NeighborSink(into)
    const writing = {
      ...(path === undefined ? {} : { path }),
      layout,
      columns: [...columns],
      queryColumns: [...queryColumns],
      force,
      mode,
      ...(listName === undefined ? {} : { listName }),
      ...(withoutQueryId === undefined ? {} : { withoutQueryId }),
    }
    return new NeighborSink(callNow(() => addon().createWriter(index.table, queries, writing)))
  }

  /** Appends the block of queries that starts at row `first`. */
  write(first: number, neighbors: NativeNeighbors, options: CallOptions): Promise<void> {
    return call((_, job) => this.#writer.write(first, neighbors, job), options)
  }

  finish(options: CallOptions): Promise<NativeWritten> {
    return call(() => this.#writer.finish(), options)
  }

  /** Removes what was written so far, unless it was finished. */
  dispose(): void {
    this.#writer.dispose()
  }
}
