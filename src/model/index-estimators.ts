// The kinds of index as estimators, and what opens an index that was kept.
import type { EngineCall } from '../engine/engine.ts'
import type { IndexKind } from '../indexes/kinds.ts'
import type { TableInput } from '../table/source.ts'
import { type ClusterOptions, INDEX_PARAMS, type IndexOptions, type IndexParams, indexParams } from './index-params.ts'
import { KeptIndex } from './kept-index.ts'
import { explain } from './params.ts'

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
  fit(items: TableInput, call: EngineCall = {}): Promise<KeptIndex> {
    return KeptIndex.build(items, this.params, call)
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

/** Params of an index that is opened: what it was built with stays. */
export type OpenIndexOptions = Pick<IndexOptions, 'k' | 'effort' | 'predictionCol' | 'onInvalid' | 'numThreads'> &
  EngineCall

/** Opens an index on disk: its files are mapped, not read. Errors: NOT_AN_INDEX, CORRUPT_INDEX, INDEX_VERSION. */
export async function openIndex(
  path: string,
  { signal, onProgress, ...options }: OpenIndexOptions = {},
): Promise<KeptIndex> {
  const { metric: _, kind: __, ...params } = indexParams('flat', options)
  return KeptIndex.open(path, params, { signal, onProgress })
}
