import type { EngineCall } from '../engine/engine.ts'
import type { TableInput } from '../table/source.ts'
import { fitItems, loadFitted } from './knn-fit.ts'
import { KnnModel } from './knn-model.ts'
import { type KnnParams, knnParams, NEAREST_NEIGHBORS_PARAMS, type NearestNeighborsOptions } from './knn-params.ts'
import { explain } from './params.ts'

/**
 * Finds the k nearest items of each query at a recall asked for, or exactly: it chooses by itself how. `fit` reads the items,
 * the model's `transform` the queries.
 */
export class NearestNeighbors {
  readonly kind = 'NearestNeighbors'
  readonly params: KnnParams
  readonly options: NearestNeighborsOptions

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: NearestNeighborsOptions = {}) {
    this.params = knnParams(options)
    this.options = { ...options }
  }

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    return explain(NEAREST_NEIGHBORS_PARAMS, this.options)
  }

  /**
   * Reads the items, and puts them into lists where an exact search of as many queries would be slower: then it also finds
   * out, on samples of the items, how much of the lists batches of few queries have to search.
   */
  async fit(items: TableInput, call: EngineCall = {}): Promise<NearestNeighborsModel> {
    return new NearestNeighborsModel(await fitItems(this.options, items, call))
  }
}

/** What `NearestNeighbors` fitted. */
export class NearestNeighborsModel extends KnnModel {
  /**
   * Loads a saved model. `params` replace those it was saved with: another k, column or number of threads. Errors: NOT_A_MODEL,
   * CORRUPT_MODEL, MODEL_VERSION.
   */
  static async load(
    path: string,
    { signal, onProgress, ...params }: NearestNeighborsOptions & EngineCall = {},
  ): Promise<NearestNeighborsModel> {
    const kinds = ['NearestNeighborsModel']
    return new NearestNeighborsModel(await loadFitted(path, kinds, params, { signal, onProgress }))
  }
}
