import { randomSource } from '../../src/join/sample.ts'
import type { Metric } from '../../src/native.ts'

/** Vectors around a few centers, with some duplicates: row i + 1 is often row i again. */
export function randomVectors(rows: number, dim: number, seed: number, duplicates = 0): Float32Array {
  const next = randomSource(seed)
  const uniform = () => next() / 2 ** 32
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
  const centers = Array.from({ length: 20 * dim }, normal)
  const out = new Float32Array(rows * dim)
  for (let row = 0; row < rows; row++) {
    if (row > 0 && uniform() < duplicates) {
      out.copyWithin(row * dim, (row - 1) * dim, row * dim)
      continue
    }
    const center = next() % 20
    for (let i = 0; i < dim; i++) out[row * dim + i] = centers[center * dim + i]! + 0.5 * normal()
  }
  return out
}

/** The distance of two rows, in float64. */
export function trueDistance(metric: Metric, a: Float32Array, b: Float32Array): number {
  const sum = (term: (x: number, y: number) => number) => {
    let total = 0
    for (let i = 0; i < a.length; i++) total += term(a[i]!, b[i]!)
    return total
  }
  const cosine = (x0: number, y0: number) => {
    const dot = sum((x, y) => (x - x0) * (y - y0))
    const norms = sum((x) => (x - x0) ** 2) * sum((_, y) => (y - y0) ** 2)
    if (norms === 0) return 1
    // What rounding leaves of 0 and of 2, which is no order.
    const distance = 1 - dot / Math.sqrt(norms)
    return Math.abs(distance) < 1e-14 ? 0 : Math.fround(distance)
  }
  const squares = () => sum((x, y) => (x - y) ** 2)
  const differences = () => sum((x, y) => Math.abs(x - y))
  switch (metric) {
    case 'l2':
      return Math.sqrt(squares())
    case 'squared-l2':
      return squares()
    case 'cosine':
      return cosine(0, 0)
    case 'correlation':
      return cosine(sum((x) => x) / a.length, sum((_, y) => y) / a.length)
    case 'dot':
      return 1 - sum((x, y) => x * y)
    case 'l1':
      return differences()
    case 'canberra':
      return sum((x, y) => (x === y ? 0 : Math.abs(x - y) / (Math.abs(x) + Math.abs(y))))
    case 'bray-curtis': {
      const sums = sum((x, y) => Math.abs(x + y))
      return sums === 0 ? Math.sign(differences()) : differences() / sums
    }
    case 'hamming':
      return sum((x, y) => Number(x !== y))
    case 'jaccard': {
      const either = sum((x, y) => Number(x !== 0 || y !== 0))
      return either === 0 ? 0 : sum((x, y) => Number((x !== 0) !== (y !== 0))) / either
    }
    default:
      throw new Error(`no oracle of ${metric}`)
  }
}

export interface OracleNeighbor {
  row: number
  distance: number
}

/** The k nearest rows of `items` to a vector, by (distance, row). */
export function nearestRows(
  metric: Metric,
  query: Float32Array,
  items: Float32Array,
  k: number,
  skip = -1,
): OracleNeighbor[] {
  const dim = query.length
  const all: OracleNeighbor[] = []
  for (let row = 0; row * dim < items.length; row++) {
    if (row !== skip)
      all.push({ row, distance: trueDistance(metric, query, items.subarray(row * dim, row * dim + dim)) })
  }
  return all.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k)
}

export function rowOf(vectors: Float32Array, dim: number, row: number): Float32Array {
  return vectors.subarray(row * dim, row * dim + dim)
}
