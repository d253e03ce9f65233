// The centers nearest to vectors: one native call for many rows.
import { type CallOptions, call, type NativeItems, type NativeTable } from '../native.ts'

export interface NearCells {
  /** Cells found of each row. */
  k: number
  /** Row after row, the nearest first. */
  cells: Uint32Array
  distances: Float32Array
}

/** The centers of cells, ready to be searched. */
export class CellCenters {
  readonly numCells: number
  readonly #table: NativeTable
  readonly #items: NativeItems
  readonly #dim: number
  readonly #threads: number

  private constructor(table: NativeTable, items: NativeItems, dim: number, threads: number) {
    this.numCells = items.numRows
    this.#table = table
    this.#items = items
    this.#dim = dim
    this.#threads = threads
  }

  static async create(centers: Float32Array, dim: number, threads: number): Promise<CellCenters> {
    const table = await tableOf(centers, dim, threads)
    const items = await call((native, job) => native.newItems(table, 'l2', threads, job), {})
    return new CellCenters(table, items, dim, threads)
  }

  /** The `k` nearest centers of each row, or as many as there are. */
  async nearest(values: Float32Array, k: number, options: CallOptions = {}): Promise<NearCells> {
    const most = Math.min(k, this.numCells)
    const table = await tableOf(values, this.#dim, this.#threads)
    try {
      const asking = { k: most, threads: this.#threads, precision: 'f32' as const }
      const found = await call((native, job) => native.exactSearch(this.#items, table, asking, job), options)
      try {
        return { k: most, cells: found.rows, distances: found.distances }
      } finally {
        found.dispose()
      }
    } finally {
      table.dispose()
    }
  }

  dispose(): void {
    this.#items.dispose()
    this.#table.dispose()
  }
}

async function tableOf(vectors: Float32Array, dim: number, threads: number): Promise<NativeTable> {
  const reading = { columns: [], onInvalid: 'fail' as const, threads, side: 'row' }
  const open = await call((native, job) => native.openTable([{ vectors, dim }], reading, job), {})
  return call((native, job) => native.readTable(open, undefined, job), {})
}
