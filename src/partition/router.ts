// Rows to partitions: each row to the one of its cell, and to those whose border is near.
import type { CallOptions } from '../native.ts'
import type { Cells } from './cells.ts'
import { CellCenters } from './nearest-cells.ts'
import { placesOf, type Space } from './space.ts'

/** Partitions near each row, the nearest first: of row `i` those from `i * width` on, as many as `counts[i]`. */
export interface Routes {
  width: number
  counts: Uint32Array
  partitions: Uint32Array
  /** How far it is to the border of each; 0 for that of the row itself. */
  margins: Float32Array
}

/** Cells looked at around a row. What lies behind them is farther than any margin that pays. */
const NEAR_CELLS = { most: 32, eachPartition: 8 }
const CHUNK_ROWS = 16_384

export class Router {
  readonly #cells: Cells
  readonly #space: Space
  readonly #centers: CellCenters
  readonly #between: (Float32Array | undefined)[]

  private constructor(cells: Cells, space: Space, centers: CellCenters) {
    this.#cells = cells
    this.#space = space
    this.#centers = centers
    this.#between = new Array(centers.numCells)
  }

  static async create(cells: Cells, space: Space, threads: number): Promise<Router> {
    return new Router(cells, space, await CellCenters.create(cells.centers, cells.dim, threads))
  }

  /** The partitions of each row whose borders are within `margin`, `width` of them at most. */
  async route(
    values: Float32Array,
    side: 'item' | 'query',
    { margin, width }: { margin: number; width: number },
    options: CallOptions = {},
  ): Promise<Routes> {
    const { dim, numPartitions } = { dim: this.#space.dim, numPartitions: this.#cells.numPartitions }
    const rows = values.length / dim
    const most = Math.max(1, Math.min(width, numPartitions))
    const near = Math.min(NEAR_CELLS.most, NEAR_CELLS.eachPartition * numPartitions)
    const routes: Routes = {
      width: most,
      counts: new Uint32Array(rows),
      partitions: new Uint32Array(rows * most),
      margins: new Float32Array(rows * most),
    }
    for (let first = 0; first < rows; first += CHUNK_ROWS) {
      const chunk = values.subarray(first * dim, Math.min(rows, first + CHUNK_ROWS) * dim)
      const places = placesOf(chunk, this.#space, side)
      const found = await this.#centers.nearest(places, most === 1 ? 1 : near, options)
      for (let i = 0; i < chunk.length / dim; i++) this.#near(found, i, first + i, margin, routes)
    }
    return routes
  }

  dispose(): void {
    this.#centers.dispose()
  }

  #near(
    { k, cells, distances }: { k: number; cells: Uint32Array; distances: Float32Array },
    row: number,
    out: number,
    margin: number,
    { width, counts, partitions, margins }: Routes,
  ): void {
    const { partitionOf } = this.#cells
    const [at, to] = [row * k, out * width]
    const own = cells[at]!
    partitions[to] = partitionOf[own]!
    let count = 1
    for (let j = 1; j < k; j++) {
      const partition = partitionOf[cells[at + j]!]!
      if (partition === partitions[to]) continue
      const [near, far] = [distances[at]!, distances[at + j]!]
      // How far it is to the plane between the two centers.
      const border = ((far - near) * (far + near)) / (2 * this.#distance(own, cells[at + j]!))
      if (border > margin) continue
      let place = 1
      while (place < count && partitions[to + place] !== partition) place++
      if (place < count) {
        if (border >= margins[to + place]!) continue
      } else if (count < width) count++
      else if (border >= margins[to + count - 1]!) continue
      else place = count - 1
      // Sorted by margin.
      while (place > 1 && margins[to + place - 1]! > border) {
        partitions[to + place] = partitions[to + place - 1]!
        margins[to + place] = margins[to + place - 1]!
        place--
      }
      partitions[to + place] = partition
      margins[to + place] = border
    }
    counts[out] = count
  }

  /** Between two centers. */
  #distance(a: number, b: number): number {
    const { dim, centers } = this.#cells
    let row = this.#between[a]
    if (!row) {
      row = new Float32Array(this.#centers.numCells)
      for (let c = 0; c < row.length; c++) {
        let sum = 0
        for (let i = 0; i < dim; i++) sum += (centers[a * dim + i]! - centers[c * dim + i]!) ** 2
        row[c] = Math.sqrt(sum)
      }
      this.#between[a] = row
    }
    return Math.max(row[b]!, 1e-30)
  }
}

/**
 * The margin at which two rows meet in a partition: that of the query where the item stays in its own, otherwise the larger one of the
 * two where it is smallest.
 */
export function meetingMargin(query: Route, item: Route, itemsSpread: boolean): number {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < query.partitions.length; i++) {
    const j = item.partitions.indexOf(query.partitions[i]!)
    if (j < 0 || (j > 0 && !itemsSpread)) continue
    best = Math.min(best, Math.max(query.margins[i]!, item.margins[j]!))
  }
  return best
}

export interface Route {
  partitions: number[]
  margins: number[]
}

/** The route of one row. */
export function routeOf({ width, counts, partitions, margins }: Routes, row: number): Route {
  const [first, end] = [row * width, row * width + counts[row]!]
  return { partitions: [...partitions.subarray(first, end)], margins: [...margins.subarray(first, end)] }
}
