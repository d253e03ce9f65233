import { invalidOption } from '../errors.ts'
import { integer, type JoinParams, joinParams } from '../join/options.ts'
import type { LshOptions } from '../native.ts'
import { columnName, type ParamDoc, refuseUnknown } from './params.ts'

/**
 * Whose hash functions: `spark` is Spark MLlib's `floor(v.r / bucketLength)`, equal to Spark's for a seed; `offset` is
 * `floor((v.r + b) / bucketLength)` with an offset for each table.
 */
export type HashFamily = 'spark' | 'offset'

export type LshMetric = 'l2' | 'cosine' | 'jaccard'

/** The params of `BucketedRandomProjectionLSH`. Of l2, `bucketLength` is required; the others have defaults. */
export interface BucketedRandomProjectionLSHOptions {
  /** Width of a bucket, above 0: of l2, which needs it. */
  bucketLength?: number | undefined
  /** Hash tables, 1 to 65536. More find more, and take longer. Default 1. */
  numHashTables?: number | undefined
  /** Bits of a hash, of cosine: 1 to 32. More bits make smaller buckets. Default 8. */
  numBits?: number | undefined
  /** Default `spark`. */
  hashFamily?: HashFamily | undefined
  /** `l2`: projections; `cosine`: signs of projections; `jaccard`: min-hash. Default `l2`. */
  metric?: LshMetric | undefined
  /** Of the hash functions: a whole number, that of Spark gives Spark's hashes. Default 0. */
  seed?: number | undefined
  /** Column of the ids. Default `id`; row numbers where there is none. */
  idCol?: string | undefined
  /** Column of the vectors. Default `vector`. */
  featuresCol?: string | undefined
  /** The column of hashes that `transform` adds. Default `hashes`. */
  outputCol?: string | undefined
  /** The column of neighbors that `approxNearestNeighbors` adds. Default `neighbors`. */
  predictionCol?: string | undefined
  /** Item columns to carry into the neighbors. */
  columns?: readonly string[] | undefined
  /** What a null, ragged or non-finite vector does to a fit, a search or a join: fail, or drop its row. Default `fail`. */
  onInvalid?: 'fail' | 'drop' | undefined
  /** Threads to use. Default: as many as the machine runs at once. */
  numThreads?: number | undefined
  /** Memory to use: bytes, or `512MB`, `2GiB`, `70%` of what is free. Default `70%`. */
  memory?: number | string | undefined
  /** The directory of temporary files. Default: that of the system. */
  tmp?: string | undefined
}

/** The options checked, with defaults filled in. */
export interface LshParams extends JoinParams {
  hash: Omit<LshOptions, 'dim' | 'bits'> & { family: HashFamily }
  outputCol: string
  predictionCol: string
}

const doc = (name: keyof BucketedRandomProjectionLSHOptions, text: string, usual?: unknown): ParamDoc => ({
  name,
  doc: text,
  default: usual,
})

export const LSH_PARAMS: readonly ParamDoc[] = [
  doc('bucketLength', 'width of a bucket, above 0; of l2, which needs it'),
  doc('numHashTables', 'hash tables, 1 to 65536; more find more, and take longer', 1),
  doc('numBits', 'bits of a hash, of cosine, 1 to 32; more make smaller buckets', 8),
  doc(
    'hashFamily',
    'spark: floor(v.r / bucketLength), as Spark MLlib; offset: floor((v.r + b) / bucketLength)',
    'spark',
  ),
  doc('metric', 'l2, cosine (signs of projections) or jaccard (min-hash)', 'l2'),
  doc('seed', 'of the hash functions, a whole number; the seed of Spark gives the hashes of Spark', 0),
  doc('idCol', 'column of the ids, of any integer, string, binary or uuid type; row numbers where there is none', 'id'),
  doc('featuresCol', 'column of the vectors: a list of numbers, or the dense vector of Spark ML', 'vector'),
  doc('outputCol', 'column of hashes that transform adds: float64, one of each table', 'hashes'),
  doc('predictionCol', 'column that approxNearestNeighbors adds: list<struct<neighbor, distance>>', 'neighbors'),
  doc('columns', 'item columns to carry into the neighbors', []),
  doc('onInvalid', 'what a null, ragged or non-finite vector does: fail, or drop its row (not in transform)', 'fail'),
  doc('numThreads', 'threads to use, 1 to 1024; it changes the time, never the answer', 'all of the machine'),
  doc('memory', 'memory to use: bytes, or 512MB, 2GiB, 70% of what is free', '70%'),
  doc('tmp', 'directory of temporary files', "the system's"),
]

const LSH_METRICS: readonly LshMetric[] = ['l2', 'cosine', 'jaccard']
const FAMILIES: readonly HashFamily[] = ['spark', 'offset']

/** Checks the options and fills in the defaults. Throws `INVALID_OPTION` with the param's name. */
export function lshParams(options: BucketedRandomProjectionLSHOptions): LshParams {
  refuseUnknown(options, LSH_PARAMS)
  const { bucketLength, numHashTables, numBits, hashFamily = 'spark', metric = 'l2', seed = 0, ...rest } = options
  const { outputCol, predictionCol, numThreads, ...join } = rest
  if (!LSH_METRICS.includes(metric)) {
    throw invalidOption('metric', `must be ${LSH_METRICS.join(', ')}, not ${JSON.stringify(metric)}`)
  }
  if (!FAMILIES.includes(hashFamily)) {
    throw invalidOption('hashFamily', `must be spark or offset, not ${JSON.stringify(hashFamily)}`)
  }
  if (metric === 'l2' && bucketLength === undefined) {
    throw invalidOption('bucketLength', 'is needed: about the distance below which rows are to share a bucket')
  }
  if (bucketLength !== undefined && !isLength(bucketLength)) {
    throw invalidOption('bucketLength', `must be a number above 0, not ${bucketLength}`)
  }
  return {
    ...joinParams({
      ...join,
      metric,
      ...(numThreads === undefined ? {} : { threads: integer('numThreads', numThreads, 1, 1024) }),
    }),
    hash: {
      family: hashFamily,
      metric,
      bucketLength: bucketLength ?? 1,
      numTables: integer('numHashTables', numHashTables ?? 1, 1, 65_536),
      numBits: integer('numBits', numBits ?? 8, 1, 32),
      seed: integer('seed', seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    },
    outputCol: columnName('outputCol', outputCol ?? 'hashes'),
    predictionCol: columnName('predictionCol', predictionCol ?? 'neighbors'),
  }
}

const isLength = (value: unknown) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY
