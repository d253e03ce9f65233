import { join } from 'node:path'
import { type Table, tableFromIPC } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import type { SparkDataset } from '../engine/spark/spark-dataset.ts'
import { invalidOption, NighError } from '../errors.ts'
import { call, callNow, type NativeHasher } from '../native.ts'
import type { ArrowDataset } from '../table/dataset.ts'
import type { TableInput } from '../table/source.ts'
import { withHashes } from './lsh-hashes.ts'
import { type HashedItems, hashedBy, hashItems, newHasher, readRows } from './lsh-items.ts'
import { checkJoin, joinHashed, type SimilarityJoinOptions } from './lsh-join.ts'
import { type BucketedRandomProjectionLSHOptions, LSH_PARAMS, type LshParams, lshParams } from './lsh-params.ts'
import { type ApproxNearestNeighborsOptions, searchHashed } from './lsh-search.ts'
import { readDirectory, type SaveOptions, saveDirectory } from './model-directory.ts'
import { given, type ParamDoc } from './params.ts'
import { joinOnSpark, type SparkSimilarityJoinOptions } from './spark/models/lsh-join.ts'
import type { SparkTable } from './spark/models/source.ts'
import { Transformer } from './transformer.ts'

/** What a model is made of. */
export interface FittedLsh {
  options: BucketedRandomProjectionLSHOptions
  hasher: NativeHasher
  /** None of a model that was made without items. */
  hashed: HashedItems | undefined
}

/** Params that its tables were made with. */
const MADE_WITH = ['metric', 'hashFamily', 'bucketLength', 'numHashTables', 'numBits', 'seed'] as const

/**
 * Hash functions, and the items in their tables where it was fitted. Holds native memory: dispose of it, or leave it to the garbage
 * collector.
 */
export class BucketedRandomProjectionLSHModel extends Transformer implements AsyncDisposable {
  readonly kind = 'BucketedRandomProjectionLSHModel'
  readonly options: BucketedRandomProjectionLSHOptions
  readonly params: LshParams
  protected readonly docs: readonly ParamDoc[] = LSH_PARAMS
  readonly #hasher: NativeHasher
  readonly #hashed: HashedItems | undefined
  #disposed = false

  constructor({ options, hasher, hashed }: FittedLsh) {
    super()
    this.options = { ...options }
    this.params = lshParams(options)
    this.#hasher = hasher
    this.#hashed = hashed
  }

  /** Dimensions of the vectors. */
  get dim(): number {
    return this.#hasher.dim
  }

  /** Items in the tables; 0 of a model that was made without. */
  get numItems(): number {
    return this.#hashed?.table.numRows ?? 0
  }

  /**
   * The k nearest of the items that share a bucket with each query, in one more column (`predictionCol`), beside every column of
   * the queries. Errors: MODEL_NOT_FITTED of a model without items.
   */
  async approxNearestNeighbors(
    queries: TableInput,
    k: number,
    options: ApproxNearestNeighborsOptions = {},
  ): Promise<Table> {
    const hashed = this.#items('search')
    return tableFromIPC(await searchHashed(hashed, this.#hasher, queries, k, this.params, options))
  }

  /**
   * The pairs of rows of two tables that share a bucket of some hash table and are nearer than `threshold` (with `hashFamily`
   * offset: or as near): a dataset of `idA`, `idB` and their true distance, each pair once. Both tables are read and hashed at
   * once, pairs are looked for as the dataset is read. None of the pairs that share a bucket is left out, however large it is.
   */
  async approxSimilarityJoin(
    a: TableInput,
    b: TableInput,
    threshold: number,
    options?: SimilarityJoinOptions,
  ): Promise<ArrowDataset>
  /** The same on a Spark cluster, whose tasks shuffle the buckets: a dataset that stays there. */
  async approxSimilarityJoin(
    a: SparkTable,
    b: SparkTable,
    threshold: number,
    options: SparkSimilarityJoinOptions,
  ): Promise<SparkDataset>
  async approxSimilarityJoin(
    a: TableInput | SparkTable,
    b: TableInput | SparkTable,
    threshold: number,
    options: SimilarityJoinOptions | SparkSimilarityJoinOptions = {},
  ): Promise<ArrowDataset | SparkDataset> {
    if ('spark' in options) return this.#onSpark(a as SparkTable, b as SparkTable, threshold, options)
    const names = checkJoin(threshold, options)
    const left = await this.#hash(a, options)
    let right: HashedItems
    try {
      right = await this.#hash(b, options)
    } catch (error) {
      left.dispose()
      throw error
    }
    return joinHashed(left, right, threshold, names, this.params, options)
  }

  /**
   * The same of one table with itself: of two rows the one that comes first in the table is A, and no row is paired with itself.
   * Without a table the items are joined. Errors: MODEL_NOT_FITTED where there are none.
   */
  async approxSelfJoin(
    threshold: number,
    options?: SimilarityJoinOptions & { of?: TableInput | undefined },
  ): Promise<ArrowDataset>
  /** The same on a Spark cluster, of a table that it sees. */
  async approxSelfJoin(
    threshold: number,
    options: SparkSimilarityJoinOptions & { of: SparkTable },
  ): Promise<SparkDataset>
  async approxSelfJoin(
    threshold: number,
    {
      of,
      ...options
    }:
      | (SimilarityJoinOptions & { of?: TableInput | undefined })
      | (SparkSimilarityJoinOptions & { of: SparkTable }) = {},
  ): Promise<ArrowDataset | SparkDataset> {
    if ('spark' in options) return this.#onSpark(of as SparkTable, undefined, threshold, options)
    const names = checkJoin(threshold, options)
    const hashed = of === undefined ? this.#items('join') : await this.#hash(of, options)
    return joinHashed(hashed, undefined, threshold, names, this.params, options)
  }

  #onSpark(
    a: SparkTable,
    b: SparkTable | undefined,
    threshold: number,
    options: SparkSimilarityJoinOptions,
  ): Promise<SparkDataset> {
    const { dim, bits } = this.#hasher
    // A task has one processor, unless somebody says otherwise.
    const params = { ...this.params, threads: this.options.numThreads ?? 1 }
    return joinOnSpark(a, b, threshold, params, { dim, bits }, options)
  }

  /** Saves the hash functions and the tables in a directory, which appears complete or not at all. */
  override save(path: string, options: SaveOptions = {}): Promise<void> {
    this.#check()
    return saveDirectory(path, options, async (directory) => {
      const hashed = this.#hashed
      const { dim, bits } = this.#hasher
      const facts: Record<string, unknown> = { dim, bits, isFitted: hashed !== undefined }
      if (hashed) {
        const { table, items, lsh } = hashed
        const { signal } = options
        const vectorCol = this.params.item.featuresCol ?? 'vector'
        const file = join(directory, 'items.arrow')
        await call((native, job) => native.writeItems(file, table, items, vectorCol, job), { signal })
        await call(() => lsh.write(join(directory, 'lsh.nigh'), items), { signal })
        Object.assign(facts, { numItems: table.numRows, idCol: table.idCol, idType: table.idType })
      }
      return { kind: this.kind, params: given(this.options), facts }
    })
  }

  /**
   * Loads a saved model: the tables as they were. `params` replace those it was saved with, but for those that its hashes were made
   * with. Errors: NOT_A_MODEL, CORRUPT_MODEL, MODEL_VERSION.
   */
  static async load(
    path: string,
    { signal, onProgress, ...params }: BucketedRandomProjectionLSHOptions & EngineCall = {},
  ): Promise<BucketedRandomProjectionLSHModel> {
    const { manifest, root } = await readDirectory(path)
    if (manifest.kind !== 'BucketedRandomProjectionLSHModel') {
      throw new NighError('NOT_A_MODEL', `${path}: is a ${manifest.kind}, not a BucketedRandomProjectionLSHModel`)
    }
    const saved = manifest.params as BucketedRandomProjectionLSHOptions
    const options: BucketedRandomProjectionLSHOptions = { ...saved, ...given(params) }
    for (const name of MADE_WITH) {
      if (options[name] !== saved[name]) {
        throw invalidOption(name, `the model at ${path} was made with ${JSON.stringify(saved[name])}: fit another`)
      }
    }
    const checked = lshParams(options)
    const { dim, bits, isFitted, idCol } = manifest.facts as {
      dim: number
      bits: boolean
      isFitted: boolean
      idCol: string
    }
    if (!isFitted) {
      return new BucketedRandomProjectionLSHModel({
        options,
        hasher: newHasher(checked, { dim, bits }),
        hashed: undefined,
      })
    }
    const reading = { ...checked, item: { ...checked.item, idCol } }
    const table = await readRows(join(root, manifest.data, 'items.arrow'), reading, { signal, onProgress })
    const file = join(root, manifest.data, 'lsh.nigh')
    const hashed = await hashItems(table, checked, { signal }, (items) =>
      call((native, job) => native.openLsh(file, items, job), { signal }),
    )
    const hasher = callNow(() => hashed.lsh.hasher(dim, bits))
    return new BucketedRandomProjectionLSHModel({ options, hasher, hashed })
  }

  /** Frees the native memory; datasets of joins that are still read keep theirs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    this.#hashed?.dispose()
  }

  protected map(table: Table): Promise<Table> {
    this.#check()
    return withHashes(table, this.#hasher, this.params)
  }

  async #hash(input: TableInput, options: EngineCall): Promise<HashedItems> {
    this.#check()
    return hashedBy(
      this.#hasher,
      await readRows(input, { ...this.params, item: { ...this.params.item, columns: [] } }, options),
      this.params,
      options,
    )
  }

  #items(what: string): HashedItems {
    this.#check()
    if (this.#hashed) return this.#hashed
    const text = `the model has hash functions and no items to ${what}: fit it (BucketedRandomProjectionLSH.fit)`
    throw new NighError('MODEL_NOT_FITTED', text)
  }

  #check(): void {
    if (this.#disposed) throw new NighError('DISPOSED', 'the model was disposed of')
  }
}
