import type { ItemIndex } from '../indexes/item-index.ts'
import {
  addon,
  type CallOptions,
  call,
  callNow,
  type NativeNeighbors,
  type NativeTable,
  type NativeWriter,
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
}

/**
 * Turns blocks of neighbors into a table: the query's id and columns, the neighbors' ids, columns and distances. Complete or
 * absent: the output appears at `finish`.
 */
export class NeighborSink {
  readonly #writer: NativeWriter

  private constructor(writer: NativeWriter) {
    this.#writer = writer
  }

  /** `queries` is undefined in a self join. */
  static create(index: Pick<ItemIndex, 'table'>, queries: NativeTable | undefined, options: SinkOptions): NeighborSink {
    const { path, layout, columns, queryColumns, force, mode } = options
    const writing = {
      ...(path === undefined ? {} : { path }),
      layout,
      columns: [...columns],
      queryColumns: [...queryColumns],
      force,
      mode,
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
