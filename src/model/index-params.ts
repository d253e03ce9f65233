// The params of the indexes that stay: what all kinds share, and each kind's own.
import { availableParallelism } from 'node:os'
import { invalidOption } from '../errors.ts'
import type { IndexKind, KindParams, ListCodes } from '../indexes/kinds.ts'
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

/** Params of an index that is opened: what it was built with stays. */
export type OpenParams = Pick<IndexOptions, 'k' | 'effort' | 'predictionCol' | 'onInvalid' | 'numThreads'>

/** How much of an index is searched: a number in the unit of its kind, or the recall to reach. */
export type Effort = number | { recall: number }

export interface ClusterOptions extends IndexOptions {
  /** Lists. Default: four times the square root of the number of items. */
  numLists?: number | undefined
  /**
   * What lists keep of a row to compare, beside the vector itself, by which the nearest are compared again: `int8`, a byte a number; `int4`, half of
   * that; `bit1`, a bit a number. Less memory, and more rows that are compared again. Default `int8`.
   */
  codes?: ListCodes | undefined
}

export interface HnswOptions extends IndexOptions {
  /** Most links of an item on a level above the lowest; twice as many there. Default 16. */
  m?: number | undefined
  /** Candidates that links are chosen from. Default 200. */
  efConstruction?: number | undefined
}

export interface ForestOptions extends IndexOptions {
  /** Trees: more find more, and take more room; -1: until they take twice the nodes of the items, as in Annoy. Default 10. */
  numTrees?: number | undefined
}

/** Locality-sensitive hash tables as an index that is kept. */
export interface LshIndexOptions extends IndexOptions {
  /** `spark`: unit projections without an offset, as Spark MLlib; `offset`: floor((v.r + b) / w). Default `spark`. */
  hashFamily?: 'spark' | 'offset' | undefined
  /** Width of a bucket, of l2. Default 1. */
  bucketLength?: number | undefined
  /** Hash tables. Default 1. */
  numHashTables?: number | undefined
  /** Bits of a hash, of cosine. Default 16. */
  numBits?: number | undefined
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
  cluster: [
    doc('numLists', 'lists, 1 or more', '4 sqrt(items)'),
    doc(
      'codes',
      'what lists keep of a number of a row: int8, int4 or bit1; less memory, more rows compared again',
      'int8',
    ),
    ...SHARED,
  ],
  hnsw: [
    doc('m', 'most links of an item on a level above the lowest, 2 to 512; twice as many there', 16),
    doc('efConstruction', 'candidates that links are chosen from, 1 or more', 200),
    ...SHARED,
  ],
  forest: [doc('numTrees', 'trees, 1 or more, or -1 as in Annoy: more find more, and take more room', 10), ...SHARED],
  lsh: [
    doc(
      'hashFamily',
      'spark: unit projections without an offset, as Spark MLlib; offset: floor((v.r + b) / w)',
      'spark',
    ),
    doc('bucketLength', 'width of a bucket, of l2, above 0', 1),
    doc('numHashTables', 'hash tables, 1 or more', 1),
    doc('numBits', 'bits of a hash, of cosine, 1 to 32', 16),
    ...SHARED,
  ],
}

/** The metrics of a kind; undefined: all of them. */
const KIND_METRICS: Record<IndexKind, readonly Metric[] | undefined> = {
  flat: undefined,
  cluster: METRICS.filter(isIndexed),
  hnsw: undefined,
  forest: ['cosine', 'l2', 'l1', 'dot', 'hamming'],
  lsh: ['l2', 'cosine', 'jaccard'],
}

const LIST_CODES: readonly ListCodes[] = ['int8', 'int4', 'bit1']
const MAX_K = 1_000_000
const MAX_THREADS = 1024

/** The options of every kind. */
export type AnyIndexOptions = ClusterOptions & HnswOptions & ForestOptions & LshIndexOptions

/** Checks the options of a kind. Throws `INVALID_OPTION` with the param's name. */
export function indexParams(kind: IndexKind, options: AnyIndexOptions): IndexParams {
  const known = INDEX_PARAMS[kind].map(({ name }) => name)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw invalidOption(unknown, `no such param of ${kind}; there are ${known.join(', ')}`)
  const { metric } = metricOf(options.metric ?? 'l2')
  if (metric === 'custom') throw invalidOption('metric', 'an index is kept without code: name a metric')
  const metrics = KIND_METRICS[kind]
  if (metrics && !metrics.includes(metric)) {
    throw invalidOption('metric', `a ${kind} index is for ${metrics.join(', ')}, not ${metric}: build another kind`)
  }
  const { onInvalid = 'fail', columns } = options
  if (onInvalid !== 'fail' && onInvalid !== 'drop') throw invalidOption('onInvalid', 'must be fail or drop')
  if (columns !== undefined && !(Array.isArray(columns) && columns.every((name) => typeof name === 'string'))) {
    throw invalidOption('columns', 'must be a list of column names')
  }
  const column = (name: 'idCol' | 'featuresCol') =>
    options[name] === undefined ? undefined : columnName(name, options[name])
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
    kind: { kind, seed, ...ownParams(kind, options) },
  }
}

/** Throws `INVALID_OPTION`. */
export function effortOf(effort: unknown = { recall: 0.95 }): Effort {
  if (typeof effort === 'number') return integer('effort', effort, 1, 2 ** 31)
  const recall = (effort as { recall?: unknown } | null)?.recall
  if (typeof recall === 'number' && recall > 0 && recall <= 1) return { recall }
  throw invalidOption('effort', 'must be a whole number of 1 or more, or { recall } above 0 and up to 1')
}

/** The params that are a kind's own, with their defaults. */
function ownParams(kind: IndexKind, options: AnyIndexOptions): Partial<KindParams> {
  const whole = (
    name: 'numLists' | 'm' | 'efConstruction' | 'numTrees' | 'numHashTables' | 'numBits',
    usual: number,
    max = MAX_K,
  ) => integer(name, options[name] ?? usual, name === 'm' ? 2 : 1, max)
  switch (kind) {
    case 'flat':
      return {}
    case 'cluster': {
      const { codes = 'int8' } = options
      if (!LIST_CODES.includes(codes)) throw invalidOption('codes', `must be ${LIST_CODES.join(', ')}`)
      return {
        ...(options.numLists === undefined ? {} : { numLists: whole('numLists', 1) }),
        ...(codes === 'int8' ? {} : { codes }),
      }
    }
    case 'hnsw':
      return { m: whole('m', 16, 512), efConstruction: whole('efConstruction', 200) }
    case 'forest':
      return options.numTrees === -1 ? {} : { numTrees: whole('numTrees', 10, 100_000) }
    case 'lsh': {
      const { hashFamily = 'spark', bucketLength = 1 } = options
      if (hashFamily !== 'spark' && hashFamily !== 'offset')
        throw invalidOption('hashFamily', 'must be spark or offset')
      if (typeof bucketLength !== 'number' || !(bucketLength > 0 && Number.isFinite(bucketLength))) {
        throw invalidOption('bucketLength', `must be a number above 0, not ${JSON.stringify(bucketLength)}`)
      }
      return {
        hashFamily,
        bucketLength,
        numHashTables: whole('numHashTables', 1, 10_000),
        numBits: whole('numBits', 16, 32),
      }
    }
  }
}
