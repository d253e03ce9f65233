// The kinds of index as estimators, and what opens an index that was kept.
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption } from '../errors.ts'
import type { IndexKind } from '../indexes/kinds.ts'
import type { MetricAlias } from '../join/metric.ts'
import { integer } from '../join/options.ts'
import type { Metric } from '../native.ts'
import type { TableInput } from '../table/source.ts'
import {
  type ClusterOptions,
  type ForestOptions,
  type HnswOptions,
  INDEX_PARAMS,
  type IndexOptions,
  type IndexParams,
  indexParams,
  type LshIndexOptions,
  type OpenParams,
} from './index-params.ts'
import { KeptIndex } from './kept-index.ts'
import { explain } from './params.ts'
import { fitOnSpark, type SparkFitOptions } from './spark/models/fit.ts'
import { type AnnoyFile, type AnnoyFileOptions, annoyFileOnSpark } from './spark/models/forest.ts'
import type { SparkTable } from './spark/models/source.ts'
import { SparkKnnModel } from './spark/models/spark-knn-model.ts'

class IndexEstimator<Options extends IndexOptions> {
  readonly params: IndexParams
  readonly options: Options
  readonly #kind: IndexKind

  constructor(kind: IndexKind, options: Options) {
    this.params = indexParams(kind, options)
    this.options = { ...options }
    this.#kind = kind
  }

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    return explain(INDEX_PARAMS[this.#kind], this.options)
  }

  /** Indexes items. */
  fit(items: TableInput, call?: EngineCall): Promise<KeptIndex>
  /** The same by the tasks of a Spark cluster, into a directory of shards. Errors: INDEX_EXISTS, SPARK_STORAGE, ... */
  fit(items: SparkTable, options: SparkFitOptions): Promise<SparkKnnModel>
  async fit(
    items: TableInput | SparkTable,
    options: EngineCall | SparkFitOptions = {},
  ): Promise<KeptIndex | SparkKnnModel> {
    if (!('spark' in options)) return KeptIndex.build(items, this.params, options)
    const { spark } = options
    // A task has one processor, unless somebody says otherwise.
    const { numThreads = 1 } = this.options
    const path = await fitOnSpark(items as SparkTable, { ...this.params, threads: numThreads }, options)
    return SparkKnnModel.load(path, { spark, numThreads })
  }
}

/** Every item compared with every query: exact, by certified int8 codes. */
export class Flat extends IndexEstimator<IndexOptions> {
  readonly kind = 'Flat'

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: IndexOptions = {}) {
    super('flat', options)
  }
}

/** Items in lists around centroids: the inverted file of joins, kept. For metrics made of inner products. */
export class Cluster extends IndexEstimator<ClusterOptions> {
  readonly kind = 'Cluster'

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: ClusterOptions = {}) {
    super('cluster', options)
  }
}

/**
 * A hierarchical navigable small world graph (Malkov, Yashunin, 2018): the fastest for few queries at a time. Built in bulk from near
 * neighbors, walked by int8 codes. Reads and writes hnswlib's files.
 */
export class Hnsw extends IndexEstimator<HnswOptions> {
  readonly kind = 'Hnsw'

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: HnswOptions = {}) {
    super('hnsw', options)
  }
}

/** Annoy's forest of random planes (Bernhardsson, 2013). Reads and writes Annoy's files. For cosine, l2, l1, dot, and hamming of bits. */
export class Forest extends IndexEstimator<ForestOptions> {
  readonly kind = 'Forest'

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: ForestOptions = {}) {
    super('forest', options)
  }

  /**
   * Grows one forest of all items on a Spark cluster, into one file that Annoy 1.17 reads (and `importIndex`): for programs that have Annoy
   * alone. Its nodes are never on the driver. Errors: OUTPUT_EXISTS, INVALID_OPTION, ...
   */
  fitAnnoyFile(items: SparkTable, options: AnnoyFileOptions): Promise<AnnoyFile> {
    return annoyFileOnSpark(items, { ...this.params, threads: this.options.numThreads ?? 1 }, options)
  }
}

/** Locality-sensitive hash tables, kept: l2, cosine and jaccard. See `BucketedRandomProjectionLSH` for Spark's estimator. */
export class Lsh extends IndexEstimator<LshIndexOptions> {
  readonly kind = 'Lsh'

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: LshIndexOptions = {}) {
    super('lsh', options)
  }
}

/** What may be another than when it was built. */
export type OpenIndexOptions = OpenParams & EngineCall

/** Opens an index on disk: its files are mapped, not read. Errors: NOT_AN_INDEX, CORRUPT_INDEX, INDEX_VERSION. */
export function openIndex(path: string, { signal, onProgress, ...options }: OpenIndexOptions = {}): Promise<KeptIndex> {
  return KeptIndex.open(path, options, { signal, onProgress })
}

/** A file of another program, which does not say what it is. */
export interface ImportOptions extends OpenIndexOptions {
  format: 'annoy' | 'hnswlib'
  metric: Metric | MetricAlias
  /** Numbers of a vector; of hamming in Annoy's files, bits. */
  dim: number
}

/**
 * Takes over the index of Annoy 1.17 (metrics cosine, l2, l1, dot and hamming) or hnswlib 0.8 (l2, squared-l2, cosine, dot): its items,
 * their ids and its trees or links. Errors: FILE_NOT_FOUND, CORRUPT_INDEX.
 */
export async function importIndex(path: string, options: ImportOptions): Promise<KeptIndex> {
  const { format, metric, dim, signal, onProgress, ...rest } = options
  if (format !== 'annoy' && format !== 'hnswlib') throw invalidOption('format', 'must be annoy or hnswlib')
  const params = indexParams(format === 'annoy' ? 'forest' : 'hnsw', { metric, ...rest })
  return KeptIndex.import(path, format, integer('dim', dim, 1, 1_000_000), params, { signal, onProgress })
}
