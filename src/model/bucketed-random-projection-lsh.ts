import type { EngineCall } from '../engine/engine.ts'
import { invalidOption } from '../errors.ts'
import { integer } from '../join/options.ts'
import type { TableInput } from '../table/source.ts'
import { hashedBy, newHasher, readRows } from './lsh-items.ts'
import { BucketedRandomProjectionLSHModel } from './lsh-model.ts'
import { type BucketedRandomProjectionLSHOptions, LSH_PARAMS, type LshParams, lshParams } from './lsh-params.ts'
import { explain } from './params.ts'

/**
 * Locality-sensitive hashing (Datar, Immorlica, Indyk, Mirrokni, 2004): near rows share a bucket of some hash table more often than
 * far ones. With the seed of a Spark model, `hashFamily` spark gives its hashes.
 */
export class BucketedRandomProjectionLSH {
  readonly kind = 'BucketedRandomProjectionLSH'
  readonly params: LshParams
  readonly options: BucketedRandomProjectionLSHOptions

  /** Checks the params: throws `INVALID_OPTION`. */
  constructor(options: BucketedRandomProjectionLSHOptions = {}) {
    this.params = lshParams(options)
    this.options = { ...options }
  }

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    return explain(LSH_PARAMS, this.options)
  }

  /** Reads the items and puts them into hash tables. */
  async fit(items: TableInput, call: EngineCall = {}): Promise<BucketedRandomProjectionLSHModel> {
    const { params, options } = this
    const table = await readRows(items, params, call)
    const hasher = newHasher(params, { dim: table.dim, bits: table.isBits })
    return new BucketedRandomProjectionLSHModel({
      options,
      hasher,
      hashed: await hashedBy(hasher, table, params, call),
    })
  }

  /**
   * A model of hash functions alone, for vectors of `dim` numbers, or bits: it hashes and joins, and has no items to search
   * (MODEL_NOT_FITTED).
   */
  createModel(dim: number, { bits = false }: { bits?: boolean | undefined } = {}): BucketedRandomProjectionLSHModel {
    integer('dim', dim, 1, 2 ** 31 - 1)
    if (bits && this.params.metric !== 'jaccard') throw invalidOption('bits', 'only together with the metric jaccard')
    const hasher = newHasher(this.params, { dim, bits })
    return new BucketedRandomProjectionLSHModel({ options: this.options, hasher, hashed: undefined })
  }
}
