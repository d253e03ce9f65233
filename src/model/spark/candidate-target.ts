// Takes the neighbors that the local engine finds in a task, and packs them for the tasks that merge them: a block for each slice of queries.
import type { NeighborTarget } from '../../merge/neighbor-sink.ts'
import { addon, callNow, callOn, type NativeArrow, type NativeNeighbors, type NativeTable } from '../../native.ts'
import { tableFromIpc } from '../../table/ipc.ts'
import { packCandidates } from './candidate-block.ts'
import type { SliceFinder } from './query-slices.ts'
import { ROW, rowNumbers } from './row-numbers.ts'

export interface CandidateOptions {
  slices: SliceFinder
  k: number
  /** Each query was looked for among the items, and is none of its own neighbors. */
  leavesOut: boolean
  /** Columns of the items for the merging tasks, ids among them. */
  columns: readonly string[]
  /** Takes a block of a range. */
  push(range: number, slice: number, block: Uint8Array): Promise<void>
}

export class CandidateTarget implements NeighborTarget {
  neighbors = 0
  readonly #options: CandidateOptions
  readonly #queryRows: Float64Array
  readonly #itemRows: Float64Array
  readonly #itemTable: NativeTable
  #columns: NativeArrow | undefined
  /** For each item its place in the block, where `#stamp` is that of the block. */
  readonly #place: Uint32Array
  readonly #stamp: Uint32Array
  #block = 0

  constructor(items: NativeTable, queries: NativeTable, options: CandidateOptions) {
    this.#options = options
    this.#itemTable = items
    this.#itemRows = rowsIn(items)
    this.#queryRows = queries === items ? this.#itemRows : rowsIn(queries)
    this.#place = new Uint32Array(items.numRows)
    this.#stamp = new Uint32Array(items.numRows)
  }

  async write(first: number, found: NativeNeighbors): Promise<void> {
    const { slices } = this.#options
    const { counts, rows, distances, k } = found
    const end = first + found.numQueries
    for (let from = first; from < end; ) {
      const slice = slices.of(this.#queryRows[from]!)
      const limit = slices.starts[slice + 1]!
      let to = from + 1
      while (to < end && this.#queryRows[to]! < limit) to++
      const neighbors = { counts, rows, distances, k, from: from - first, to: to - first, first }
      await this.#options.push(slices.rangeOf(slice), slice, await this.#packed(neighbors))
      from = to
    }
  }

  finish(): { rows: number; neighbors: number; sizeBytes: number } {
    return { rows: this.#queryRows.length, neighbors: this.neighbors, sizeBytes: 0 }
  }

  dispose(): void {
    this.#columns?.dispose()
  }

  async #packed(found: {
    counts: Uint32Array
    rows: Uint32Array
    distances: Float32Array
    k: number
    from: number
    to: number
    first: number
  }): Promise<Uint8Array> {
    const { k, leavesOut } = this.#options
    const numQueries = found.to - found.from
    const counts = new Uint32Array(numQueries)
    const places = new Uint32Array(numQueries * Math.min(k, found.k))
    const distances = new Float32Array(places.length)
    const items: number[] = []
    const stamp = ++this.#block
    let at = 0
    for (let q = found.from; q < found.to; q++) {
      const own = leavesOut ? this.#queryRows[found.first + q]! : -1
      const start = at
      for (let j = q * found.k; j < q * found.k + found.counts[q]! && at - start < k; j++) {
        const item = found.rows[j]!
        if (this.#itemRows[item] === own) continue
        if (this.#stamp[item] !== stamp) {
          this.#stamp[item] = stamp
          this.#place[item] = items.length
          items.push(item)
        }
        places[at] = this.#place[item]!
        distances[at++] = found.distances[j]!
      }
      counts[q - found.from] = at - start
    }
    this.neighbors += at
    const rows = Uint32Array.from(items)
    return packCandidates({
      queries: this.#queryRows.subarray(found.first + found.from, found.first + found.to),
      counts,
      items: places.subarray(0, at),
      distances: distances.subarray(0, at),
      itemRows: Float64Array.from(rows, (row) => this.#itemRows[row]!),
      columns: await this.#columnsOf(rows),
    })
  }

  async #columnsOf(rows: Uint32Array): Promise<Uint8Array> {
    this.#columns ??= await callOn(async () => {
      const all = await addon().arrowFromIpc(addon().itemColumnsIpc(this.#itemTable))
      const kept = all.select([...this.#options.columns])
      all.dispose()
      return kept
    })
    const columns = this.#columns
    return callOn(async () => {
      const taken = await columns.take(rows)
      try {
        return await taken.toIpc()
      } finally {
        taken.dispose()
      }
    })
  }
}

function rowsIn(table: NativeTable): Float64Array {
  const ipc = tableFromIpc(callNow(() => addon().itemColumnsIpc(table)))
  return rowNumbers(ipc.select([ROW]))
}
