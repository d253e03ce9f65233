/** A recall measured on a sample, with its 95 % interval. */
export interface RecallEstimate {
  estimate: number
  low: number
  high: number
  /** Query rows measured; 0 where recall holds by construction. */
  sampleSize: number
  /** Rows of the items stood for the queries, which were too few. */
  of?: 'items' | undefined
}

/** Recall 1, not measured but certain. */
export const CERTAIN: RecallEstimate = { estimate: 1, low: 1, high: 1, sampleSize: 0 }

const Z = 1.959963984540054

export function mean(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return values.length === 0 ? Number.NaN : sum / values.length
}

/** The standard error of the mean. */
export function standardError(values: ArrayLike<number>): number {
  const n = values.length
  if (n < 2) return 0
  const center = mean(values)
  let squares = 0
  for (let i = 0; i < n; i++) squares += (values[i]! - center) ** 2
  return Math.sqrt(squares / (n - 1) / n)
}

/** Wilson's interval for a proportion: right where the normal one has no width. */
export function wilson(proportion: number, trials: number): { low: number; high: number } {
  const z2 = (Z * Z) / trials
  const center = (proportion + z2 / 2) / (1 + z2)
  const half = (Z / (1 + z2)) * Math.sqrt((proportion * (1 - proportion)) / trials + z2 / trials / 4)
  return { low: Math.max(0, center - half), high: Math.min(1, center + half) }
}

/**
 * The mean recall of a sample of queries, with a 95 % interval: normal over the queries, whose recalls vary more than single
 * neighbors would; Wilson's over the queries where that has no width or reaches past 1. Where the sample is the whole
 * population (`populationSize`), the interval is a point.
 */
export function estimateRecall(recalls: Float32Array, populationSize: number): RecallEstimate {
  const n = recalls.length
  if (n === 0) return CERTAIN
  const estimate = mean(recalls)
  if (n >= populationSize) return { estimate, low: estimate, high: estimate, sampleSize: n }
  const half = Z * standardError(recalls) * Math.sqrt(1 - n / populationSize)
  const bounds = wilson(estimate, n)
  const low = half === 0 ? bounds.low : Math.max(0, estimate - half)
  const high = half === 0 || estimate + half > 1 ? Math.max(estimate, bounds.high) : estimate + half
  return { estimate, low, high, sampleSize: n }
}
