import { invalidOption } from '../errors.ts'
import { METRICS } from '../join/metric.ts'
import { integer, type JoinOptions, type JoinParams, joinParams } from '../join/options.ts'
import { columnName, type ParamDoc } from './params.ts'

/** Which columns a model's answer has. */
export type OutputFormat = 'full' | 'minimal'

/** The params of `NearestNeighbors`. Each has a default; none is required. */
export interface NearestNeighborsOptions extends JoinOptions {
  /** The column that `transform` adds. Default `neighbors`. */
  predictionCol?: string | undefined
  /** Leave out the item that has the query's own id. Default false. */
  excludeSelf?: boolean | undefined
  /** `full`: every column of the queries; `minimal`: their ids alone. Default `full`. */
  outputFormat?: OutputFormat | undefined
  /** Parts of the items, 1 or more, as `partitionSummaries` tells them; neither the answer nor the time depends on it. Default 1. */
  numPartitions?: number | undefined
  /** The items' column of partitions: integers, strings, dates or booleans. */
  partitionCol?: string | undefined
  /** The queries' column of the partition, or the list of partitions, that each sees. Without it each sees them all. */
  queryPartitionsCol?: string | undefined
  /** Threads to use, as `threads`. Default: as many as the machine runs at once. */
  numThreads?: number | undefined
  /** A saved model that the items are appended to. */
  initialModelPath?: string | undefined
}

/** The params of `BruteForce`: it is exact, so that there is no recall to ask for and no plan. */
export type BruteForceOptions = Omit<NearestNeighborsOptions, 'recall' | 'exact' | 'plan'>

/** `NearestNeighborsOptions` checked, with defaults filled in. */
export interface KnnParams extends JoinParams {
  predictionCol: string
  excludeSelf: boolean
  outputFormat: OutputFormat
  numPartitions: number
  partitionCol: string | undefined
  queryPartitionsCol: string | undefined
  initialModelPath: string | undefined
}

const doc = (name: keyof NearestNeighborsOptions, text: string, usual?: unknown): ParamDoc => ({
  name,
  doc: text,
  default: usual,
})

const SHARED: readonly ParamDoc[] = [
  doc('idCol', 'column of the ids, of any integer, string, binary or uuid type; row numbers where there is none', 'id'),
  doc('queryIdCol', 'the same of the queries, if it has another name'),
  doc('itemIdCol', 'the same of the items, if it has another name'),
  doc('featuresCol', 'column of the vectors: a list of numbers, or the vector of Spark ML', 'vector'),
  doc('queryFeaturesCol', 'the same of the queries, if it has another name'),
  doc('itemFeaturesCol', 'the same of the items, if it has another name'),
  doc('predictionCol', 'column that transform adds: list<struct<neighbor, distance>>', 'neighbors'),
  doc('k', 'neighbors of each query, 1 or more; fewer come back where there are fewer', 10),
  doc('metric', `${METRICS.join(', ')}, or a function of two vectors; smaller is nearer`, 'l2'),
  doc('maxDistance', 'only neighbors at this distance or nearer'),
  doc('excludeSelf', "leave out the item that has the query's own id", false),
  doc('outputFormat', 'full: every column of the queries; minimal: their ids alone', 'full'),
  doc('columns', 'item columns to carry into the neighbors', []),
  doc('numPartitions', 'parts of the items, 1 to 65536; neither the answer nor the time depends on it', 1),
  doc('partitionCol', "the items' column of partitions: integers, strings, dates or booleans"),
  doc('queryPartitionsCol', "the queries' column of a partition or a list of them; without it a query sees them all"),
  doc('initialModelPath', 'a saved model that the items are appended to'),
  doc('onInvalid', 'what a null, ragged or non-finite vector does: fail, or drop its row', 'fail'),
  doc('numThreads', 'threads to use, 1 to 1024; it changes the time, never the answer', 'all of the machine'),
  doc('memory', 'memory to use: bytes, or 512MB, 2GiB, 70% of what is free', '70%'),
  doc('seed', 'of samples and clusters, a whole number', 0),
]

/** What `BruteForce` can be asked. */
export const BRUTE_FORCE_PARAMS: readonly ParamDoc[] = SHARED

/** What `NearestNeighbors` can be asked. */
export const NEAREST_NEIGHBORS_PARAMS: readonly ParamDoc[] = [
  ...SHARED.slice(0, 8),
  doc('recall', 'the fraction of the exact neighbors to find, above 0 and up to 1; measured and reported', 0.95),
  doc('exact', 'search exactly; not together with recall', false),
  ...SHARED.slice(8),
]

const MAX_PARTITIONS = 65_536

/** Checks the options and fills in the defaults. Throws `INVALID_OPTION` with the param's name. */
export function knnParams(options: NearestNeighborsOptions): KnnParams {
  const { predictionCol, excludeSelf, outputFormat, numPartitions, partitionCol, queryPartitionsCol, ...rest } = options
  const { numThreads, initialModelPath, ...join } = rest
  if (numThreads !== undefined && join.threads !== undefined) {
    throw invalidOption('numThreads', 'the same as threads: give one of them')
  }
  if (excludeSelf !== undefined && typeof excludeSelf !== 'boolean') {
    throw invalidOption('excludeSelf', 'must be true or false')
  }
  if (outputFormat !== undefined && outputFormat !== 'full' && outputFormat !== 'minimal') {
    throw invalidOption('outputFormat', `must be full or minimal, not ${JSON.stringify(outputFormat)}`)
  }
  if (queryPartitionsCol !== undefined && partitionCol === undefined) {
    throw invalidOption('queryPartitionsCol', 'only together with partitionCol: the items have no partitions')
  }
  if (initialModelPath !== undefined && (typeof initialModelPath !== 'string' || initialModelPath === '')) {
    throw invalidOption('initialModelPath', 'must be the path of a model')
  }
  const optional = (name: string, value: unknown) => (value === undefined ? undefined : columnName(name, value))
  const threads = numThreads === undefined ? {} : { threads: integer('numThreads', numThreads, 1, 1024) }
  return {
    ...joinParams({ ...join, ...threads }),
    predictionCol: columnName('predictionCol', predictionCol ?? 'neighbors'),
    excludeSelf: excludeSelf ?? false,
    outputFormat: outputFormat ?? 'full',
    numPartitions: integer('numPartitions', numPartitions ?? 1, 1, MAX_PARTITIONS),
    partitionCol: optional('partitionCol', partitionCol),
    queryPartitionsCol: optional('queryPartitionsCol', queryPartitionsCol),
    initialModelPath,
  }
}

/** Options of an exact search. */
export function exactOptions(options: BruteForceOptions): NearestNeighborsOptions {
  for (const name of ['recall', 'exact', 'plan']) {
    if (name in options && options[name as keyof BruteForceOptions] !== undefined) {
      throw invalidOption(name, 'a brute-force search is exact: there is nothing to ask for')
    }
  }
  return { ...options, exact: true }
}
