import type { EngineCall } from '../engine/engine.ts'
import type { TableInput } from '../table/source.ts'
import { fitItems, loadFitted } from './knn-fit.ts'
import { KnnModel } from './knn-model.ts'
import { BRUTE_FORCE_PARAMS, type BruteForceOptions, exactOptions, type KnnParams, knnParams } from './knn-params.ts'
import { explain } from './params.ts'

/** Finds the k nearest items of each query by comparing it with all of them. */
export class BruteForce {
  readonly kind = 'BruteForce'
  readonly params: KnnParams
  readonly options: BruteForceOptions

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: BruteForceOptions = {}) {
    this.params = knnParams(exactOptions(options))
    this.options = { ...options }
  }

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    return explain(BRUTE_FORCE_PARAMS, this.options)
  }

  async fit(items: TableInput, call: EngineCall = {}): Promise<BruteForceModel> {
    return new BruteForceModel(await fitItems(exactOptions(this.options), items, call))
  }
}

/** What `BruteForce` fitted. */
export class BruteForceModel extends KnnModel {
  override readonly kind: string = 'BruteForceModel'

  /** Loads a saved model. `params` replace those it was saved with. Errors: NOT_A_MODEL, CORRUPT_MODEL, MODEL_VERSION. */
  static async load(
    path: string,
    { signal, onProgress, ...params }: BruteForceOptions & EngineCall = {},
  ): Promise<BruteForceModel> {
    const kinds = ['BruteForceModel']
    return new BruteForceModel(await loadFitted(path, kinds, exactOptions(params), { signal, onProgress }))
  }
}
