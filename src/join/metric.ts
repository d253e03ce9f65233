// The metrics by name: which there are, what else they are called, and how each can be searched.
import { invalidOption } from '../errors.ts'
import type { DistanceFunction, Metric } from '../native.ts'

/** Other names of metrics. */
export type MetricAlias = 'inner-product' | 'manhattan'

const ALIASES: Record<MetricAlias, Metric> = { 'inner-product': 'dot', manhattan: 'l1' }

/** Those of inner products, which lists and graphs can search, too. */
const INDEXED = ['l2', 'squared-l2', 'cosine', 'correlation', 'dot'] as const satisfies readonly Metric[]
/** Those that compare one by one. */
const SCANNED = ['l1', 'canberra', 'bray-curtis', 'hamming', 'jaccard'] as const satisfies readonly Metric[]

/** Every metric that has a name of its own. */
export const METRICS: readonly Metric[] = [...INDEXED, ...SCANNED]

/** Whether the metric can be searched otherwise than by comparing with every item. */
export function isIndexed(metric: Metric): boolean {
  return (INDEXED as readonly Metric[]).includes(metric)
}

/** Whether columns of bytes and booleans are bits under it. */
export function isOfBits(metric: Metric): boolean {
  return metric === 'hamming' || metric === 'jaccard'
}

/** The metric that an option names or is. Throws `INVALID_OPTION`. */
export function metricOf(option: unknown): { metric: Metric; distance: DistanceFunction | undefined } {
  if (typeof option === 'function') return { metric: 'custom', distance: option as DistanceFunction }
  const named = ALIASES[option as MetricAlias] ?? METRICS.find((metric) => metric === option)
  if (named) return { metric: named, distance: undefined }
  const names = [...METRICS, ...Object.keys(ALIASES)].join(', ')
  throw invalidOption('metric', `must be one of ${names}, or a function of two vectors, not ${JSON.stringify(option)}`)
}
