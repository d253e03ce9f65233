// Queries in slices: runs of rows whose candidates meet in memory. A range of slices is what one task merges and writes.
import type { Block } from './blocks.ts'

export interface QuerySlices {
  /** Rows of each partition of the queries. */
  partitionRows: readonly number[]
  /** Most rows of a slice. A slice is of one partition. */
  sliceRows: number
  /** Ranges: consecutive partitions. */
  ranges: readonly Block[]
}

export class SliceFinder {
  /** The first row of each slice, and behind the last. */
  readonly starts: Float64Array
  readonly #rangeOf: Int32Array
  #last = 0

  constructor({ partitionRows, sliceRows, ranges }: QuerySlices) {
    const starts: number[] = []
    const rangeOf: number[] = []
    const owner = new Int32Array(partitionRows.length).fill(-1)
    for (const { block, first, count } of ranges) owner.fill(block, first, first + count)
    let row = 0
    for (const [partition, rows] of partitionRows.entries()) {
      for (let at = 0; at < rows; at += sliceRows) {
        starts.push(row + at)
        rangeOf.push(owner[partition]!)
      }
      row += rows
    }
    this.starts = Float64Array.from([...starts, row])
    this.#rangeOf = Int32Array.from(rangeOf)
  }

  /** The slice of a row. Rows in order find theirs at once. */
  of(row: number): number {
    const { starts } = this
    if (!(row >= starts[this.#last]! && row < starts[this.#last + 1]!)) {
      let [low, high] = [0, starts.length - 1]
      while (high - low > 1) {
        const middle = (low + high) >> 1
        if (starts[middle]! <= row) low = middle
        else high = middle
      }
      this.#last = low
    }
    return this.#last
  }

  rangeOf(slice: number): number {
    return this.#rangeOf[slice]!
  }
}
