// Vectors where the nearest by Euclidean distance are the nearest by the metric, so that cells of k-means suit every metric.
import type { Metric } from '../native.ts'

export interface Space {
  metric: Metric
  /** Of the vectors. */
  dim: number
  /** The longest item of a sample: what inner products are lifted by. */
  maxNorm: number
}

/** Whether an item and a query of the same vector have the same place. */
export function isSymmetric({ metric }: Space): boolean {
  return metric !== 'dot'
}

/** Dimensions of the places. */
export function placeDim({ metric, dim }: Space): number {
  return metric === 'dot' ? dim + 1 : dim
}

/** The places of some vectors; of l2 the vectors themselves. */
export function placesOf(values: Float32Array, space: Space, side: 'item' | 'query'): Float32Array {
  const { metric, dim } = space
  switch (metric) {
    case 'cosine':
      return units(values, dim, false)
    case 'correlation':
      return units(values, dim, true)
    case 'dot':
      return lifted(values, space, side)
    default:
      return values
  }
}

/** Vectors of length 1, of what is left of them without their mean. A vector of zeros stays one. */
function units(values: Float32Array, dim: number, centered: boolean): Float32Array {
  const out = new Float32Array(values.length)
  for (let at = 0; at < values.length; at += dim) {
    let mean = 0
    if (centered) {
      for (let i = at; i < at + dim; i++) mean += values[i]!
      mean /= dim
    }
    let squares = 0
    for (let i = at; i < at + dim; i++) squares += (values[i]! - mean) ** 2
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0
    for (let i = at; i < at + dim; i++) out[i] = (values[i]! - mean) * scale
  }
  return out
}

/**
 * One dimension more, in which items are as far out as makes all equally long: then the largest inner product is the smallest distance.
 * Queries are made as long as that, so that their distances from borders compare.
 */
function lifted(values: Float32Array, { dim, maxNorm }: Space, side: 'item' | 'query'): Float32Array {
  const rows = values.length / dim
  const out = new Float32Array(rows * (dim + 1))
  for (let row = 0; row < rows; row++) {
    let squares = 0
    for (let i = row * dim; i < (row + 1) * dim; i++) squares += values[i]! ** 2
    const scale = side === 'query' && squares > 0 ? maxNorm / Math.sqrt(squares) : 1
    const to = row * (dim + 1)
    for (let i = 0; i < dim; i++) out[to + i] = values[row * dim + i]! * scale
    if (side === 'item') out[to + dim] = Math.sqrt(Math.max(0, maxNorm ** 2 - squares))
  }
  return out
}

/** The length of the longest vector. */
export function longest(values: Float32Array, dim: number): number {
  let most = 0
  for (let at = 0; at < values.length; at += dim) {
    let squares = 0
    for (let i = at; i < at + dim; i++) squares += values[i]! ** 2
    most = Math.max(most, squares)
  }
  return Math.sqrt(most)
}
