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
  let [dot, aa, bb, squares] = [0, 0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    aa += a[i]! ** 2
    bb += b[i]! ** 2
    squares += (a[i]! - b[i]!) ** 2
  }
  if (metric === 'l2') return Math.sqrt(squares)
  if (metric === 'dot') return 1 - dot
  return aa === 0 || bb === 0 ? 1 : 1 - dot / Math.sqrt(aa * bb)
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
