import { callNow, type NativeTable } from '../native.ts'

/** Numbers that are copied out of native memory together. */
const BLOCK = 1 << 24

/** Vectors in JavaScript's memory, for functions that are written in it. */
export class Rows {
  readonly dim: number
  readonly numRows: number
  readonly #blocks: Float32Array[] = []
  readonly #rowsOfBlock: number

  /** Copies some rows of a table. */
  constructor(table: NativeTable, first = 0, count: number = table.numRows) {
    this.dim = table.dim
    this.numRows = count
    this.#rowsOfBlock = Math.max(1, Math.floor(BLOCK / Math.max(1, this.dim)))
    for (let at = 0; at < count; at += this.#rowsOfBlock) {
      const length = Math.min(this.#rowsOfBlock, count - at)
      this.#blocks.push(callNow(() => table.vectors(first + at, length)))
    }
  }

  /** A view of one row. */
  row(row: number): Float32Array {
    const start = (row % this.#rowsOfBlock) * this.dim
    return this.#blocks[Math.floor(row / this.#rowsOfBlock)]!.subarray(start, start + this.dim)
  }
}
