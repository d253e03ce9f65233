// The params of the indexes that stay: what all kinds share, and each kind's own.
import { availableParallelism } from 'node:os'
import { invalidOption } from '../errors.ts'
import type { IndexKind, KindParams } from '../indexes/kinds.ts'
import { isIndexed, METRICS, type MetricAlias, metricOf } from '../join/metric.ts'
import { integer } from '../join/options.ts'
import type { Metric } from '../native.ts'
import { columnName, type ParamDoc } from './params.ts'

/** What every kind of index is built with. Each has a default. */
export interface IndexOptions {
  /** Distance, by name; smaller is nearer. Default `l2`. */
  metric?: Metric | MetricAlias | undefined
  /** Column of the ids; numbers from 0 on where there is none. Default `id`. */
  idCol?: string | undefined
  /** Column of the vectors. Default `vector`. */
  featuresCol?: string | undefined
  /** Item columns to keep, for filters and results. Default all. */
  columns?: readonly string[] | undefined
  /** What a null, ragged or non-finite vector does: fail, or drop its row. Default `fail`. */
  onInvalid?: 'fail' | 'drop' | undefined
  /** Neighbors that `transform` finds. Default 10. */
  k?: number | undefined
  /** The recall that `transform` asks for, or a number in the unit of the kind. Default: recall .95. */
  effort?: Effort | undefined
  /** The column that `transform` adds. Default `neighbors`. */
  predictionCol?: string | undefined
  /** Default 0. */
  seed?: number | undefined
  /** Threads to use; it changes the time, never the answer. Default: as many as the machine runs at once. */
  numThreads?: number | undefined
}

/** How much of an index is searched: a number in the unit of its kind, or the recall to reach. */
export type Effort = number | { recall: number }

export interface ClusterOptions extends IndexOptions {
  /** Lists. Default: four times the square root of the number of items. */
  numLists?: number | undefined
}

/** The options checked, with defaults filled in. */
export interface IndexParams {
  metric: Metric
  idCol: string | undefined
  featuresCol: string | undefined
  columns: readonly string[] | undefined
  onInvalid: 'fail' | 'drop'
  k: number
  effort: Effort
  predictionCol: string
  threads: number
  kind: KindParams
}

const doc = (name: string, text: string, usual?: unknown): ParamDoc => ({ name, doc: text, default: usual })

const SHARED: readonly ParamDoc[] = [
  doc('metric', METRICS.join(', '), 'l2'),
  doc('idCol', 'column of the ids; numbers from 0 on where there is none', 'id'),
  doc('featuresCol', 'column of the vectors', 'vector'),
  doc('columns', 'item columns to keep, for filters and results; all of them if absent'),
  doc('onInvalid', 'what a null, ragged or non-finite vector does: fail, or drop its row', 'fail'),
  doc('k', 'neighbors that transform finds, 1 or more', 10),
  doc('effort', "the recall to reach, { recall: 0.95 }, or a number in the kind's own unit", { recall: 0.95 }),
  doc('predictionCol', 'column that transform adds: list<struct<neighbor, distance>>', 'neighbors'),
  doc('seed', 'of samples and clusters, a whole number', 0),
  doc('numThreads', 'threads to use, 1 to 1024; it changes the time, never the answer', 'all of the machine'),
]

/** The params of each kind. */
export const INDEX_PARAMS: Record<IndexKind, readonly ParamDoc[]> = {
  flat: SHARED,
  cluster: [doc('numLists', 'lists, 1 or more', '4 sqrt(items)'), ...SHARED],
}

const MAX_K = 1_000_000
const MAX_THREADS = 1024

/** Checks the options of a kind. Throws `INVALID_OPTION` with the param's name. */
export function indexParams(kind: IndexKind, options: ClusterOptions): IndexParams {
  const known = INDEX_PARAMS[kind].map(({ name }) => name)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw invalidOption(unknown, `no such param of ${kind}; there are ${known.join(', ')}`)
  const { metric } = metricOf(options.metric ?? 'l2')
  if (metric === 'custom') throw invalidOption('metric', 'an index is kept without code: name a metric')
  if (kind === 'cluster' && !isIndexed(metric)) {
    throw invalidOption(
      'metric',
      `lists are for metrics made of inner products, and ${metric} is none: build another kind`,
    )
  }
  const { onInvalid = 'fail', columns } = options
  if (onInvalid !== 'fail' && onInvalid !== 'drop') throw invalidOption('onInvalid', 'must be fail or drop')
  if (columns !== undefined && !(Array.isArray(columns) && columns.every((name) => typeof name === 'string'))) {
    throw invalidOption('columns', 'must be a list of column names')
  }
  const column = (name: 'idCol' | 'featuresCol') =>
    options[name] === undefined ? undefined : columnName(name, options[name])
  const numLists = options.numLists === undefined ? undefined : integer('numLists', options.numLists, 1, MAX_K)
  const seed = integer('seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER)
  return {
    metric,
    idCol: column('idCol'),
    featuresCol: column('featuresCol'),
    columns,
    onInvalid,
    k: integer('k', options.k ?? 10, 1, MAX_K),
    effort: effortOf(options.effort),
    predictionCol: columnName('predictionCol', options.predictionCol ?? 'neighbors'),
    threads: integer('numThreads', options.numThreads ?? availableParallelism(), 1, MAX_THREADS),
    kind: { kind, seed, ...(numLists === undefined ? {} : { numLists }) },
  }
}

/** Throws `INVALID_OPTION`. */
export function effortOf(effort: unknown = { recall: 0.95 }): Effort {
  if (typeof effort === 'number') return integer('effort', effort, 1, 2 ** 31)
  const recall = (effort as { recall?: unknown } | null)?.recall
  if (typeof recall === 'number' && recall > 0 && recall <= 1) return { recall }
  throw invalidOption('effort', 'must be a whole number of 1 or more, or { recall } above 0 and up to 1')
}
