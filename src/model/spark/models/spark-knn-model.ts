import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Field, Float32, List, Schema, Struct, type Table, tableFromArrays } from 'apache-arrow'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { NighError } from '../../../errors.ts'
import {
  commitStaged,
  type IndexFacts,
  readDirectory,
  type SegmentFacts,
  type TunedEffort,
} from '../../../indexes/index-directory.ts'
import { integer } from '../../../join/options.ts'
import { call } from '../../../native.ts'
import { memoryBytes } from '../../../table/budget.ts'
import { readTable } from '../../../table/datasets.ts'
import { columnNotFound, selected } from '../../../table/schema.ts'
import type { Ids } from '../../../table/source.ts'
import { idTable } from '../../change-items.ts'
import { type Effort, effortOf, type IndexParams, indexParams, type OpenParams } from '../../index-params.ts'
import type { IndexSearchOptions } from '../../index-search.ts'
import { controlRows, parallelism } from '../control-rows.ts'
import { shuffleKeys } from '../shuffle-keys.ts'
import { inOrder, PIECES } from './blocks.ts'
import type { Building, Built, Rebalancing } from './build-tasks.ts'
import { told } from './client.ts'
import { appendOnSpark, replaced, space, wholeOf } from './fit.ts'
import type { Asking } from './search-tasks.ts'
import { openSource, type SparkTable } from './source.ts'
import { staged } from './staging.ts'
import { answers, groupsOf, type SparkTransformOptions } from './transform.ts'

/**
 * Items that the tasks of a cluster have indexed, in a directory of shards and a manifest. It is the directory of an index: `openIndex`
 * opens it in one process. What it was when it was loaded it stays; who changes it at once with another is told (INDEX_CHANGED).
 */
export class SparkKnnModel {
  readonly path: string
  readonly params: IndexParams
  readonly #spark: Spark
  #facts: IndexFacts
  #segments: SegmentFacts[]
  #generation: number

  private constructor(
    spark: Spark,
    path: string,
    params: IndexParams,
    { facts, segments, generation }: { facts: IndexFacts; segments: SegmentFacts[]; generation: number },
  ) {
    this.#spark = spark
    this.path = path
    this.params = params
    this.#facts = facts
    this.#segments = segments
    this.#generation = generation
  }

  /** Opens a model, which may be any index of nigh's. Errors: NOT_AN_INDEX, CORRUPT_INDEX, INDEX_VERSION. */
  static async load(path: string, { spark, ...asked }: OpenParams & { spark: Spark }): Promise<SparkKnnModel> {
    const read = await readDirectory(resolve(path))
    const { facts } = read
    const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined))
    // A task has one processor, unless somebody says otherwise.
    const params = indexParams('flat', { numThreads: 1, ...facts.asks, ...given })
    const { metric, idCol, featuresCol } = facts
    return new SparkKnnModel(spark, resolve(path), { ...params, metric, idCol, featuresCol, kind: facts.params }, read)
  }

  get kind(): string {
    return this.#facts.params.kind
  }

  get numItems(): number {
    return this.#segments.reduce((sum, { numRows, numDeleted }) => sum + numRows - numDeleted, 0)
  }

  get numShards(): number {
    return this.#segments.length
  }

  get dim(): number {
    return this.#facts.dim
  }

  /** Efforts and the recalls they reached. */
  get efforts(): readonly TunedEffort[] {
    return this.#facts.efforts
  }

  /** The partitions and how many items each has: a table (partition, size). Without `partitionCol`, the shards by number. */
  partitionSummaries(): Table {
    const sizes = new Map<string, number>()
    for (const [i, { partition, numRows, numDeleted }] of this.#segments.entries()) {
      const name = this.#facts.partitionCol === undefined ? String(i) : (partition ?? '')
      sizes.set(name, (sizes.get(name) ?? 0) + numRows - numDeleted)
    }
    return tableFromArrays({
      partition: [...sizes.keys()],
      size: BigInt64Array.from(sizes.values(), (size) => BigInt(size)),
    })
  }

  /**
   * The queries with every column and their neighbors in one more, as a dataset that stays on the cluster: `write`, `createTempView`, or
   * stream it. Nothing runs but the search for an effort, if none is known that reaches the recall, until the dataset is read.
   */
  async transform(queries: SparkTable, options: SparkTransformOptions = {}): Promise<SparkDataset> {
    const { signal, onProgress, tags, numTasks, memory = '2GB', k: asked, effort, ...search } = options
    const run: ExecuteOptions = { signal, onProgress, tags }
    const spark = this.#spark
    const facts = this.#facts
    const k = integer('k', asked ?? this.params.k, 1, 1_000_000)
    const source = await openSource(spark, queries, 'queries')
    const needed = this.#neededColumns(source.schema, search)
    const schema = await this.#answerSchema(source.schema, search.columns ?? [])
    const groups = groupsOf(this.#segments, memoryBytes(memory))
    const asking: Asking = {
      path: this.path,
      facts,
      params: { ...this.params, k },
      groups,
      effort: await this.#effort(k, effort === undefined ? this.params.effort : effortOf(effort), run),
      search,
      needed,
    }
    return answers(spark, source, asking, schema, numTasks ?? (await parallelism(spark, run)))
  }

  /**
   * Adds items in any number of shards. One with the id of another takes its place, wherever that is: the manifest names the items of the old
   * shards that do not count any more.
   */
  async append(
    items: SparkTable,
    options: { numPartitions?: number | undefined } & ExecuteOptions = {},
  ): Promise<{ added: number; replaced: number }> {
    const columns = (await this.#itemSchema()).fields.slice(1).map(({ name }) => name)
    const params = { ...this.params, columns }
    const { added, replaced, ...now } = await appendOnSpark(this.#spark, this.#model(), items, params, {
      ...options,
      path: this.path,
    })
    this.#now(now)
    return { added, replaced }
  }

  /** Removes the items with these ids, and tells how many there were. */
  async delete(ids: Ids, options: ExecuteOptions = {}): Promise<{ deleted: number }> {
    return staged(this.path, async (directory) => {
      const table = await idTable(ids, {})
      const file = join(directory, 'ids.arrow')
      await call((native, job) => native.writeItemColumns(file, table, job), {}).finally(() => table.dispose())
      const stage = {
        path: this.path,
        staged: directory,
        segments: this.#segments,
        newer: this.#segments.map(() => []),
        ids: file,
        ...space(this.#facts),
      }
      const { segments, rows } = await replaced(this.#spark, stage, options)
      if (rows > 0) await this.#commit(directory, segments)
      return { deleted: rows }
    })
  }

  /**
   * Builds the shards anew of what is not deleted, in so many of equal size (default: as many as the tasks that the cluster runs at once);
   * of a model in partitions, one for each.
   */
  async compact(options: { numPartitions?: number | undefined } & ExecuteOptions = {}): Promise<void> {
    const { signal, onProgress, tags } = options
    const run: ExecuteOptions = { signal, onProgress, tags }
    const numPartitions = integer(
      'numPartitions',
      options.numPartitions ?? (await parallelism(this.#spark, run)),
      1,
      65_536,
    )
    const total = this.numItems
    const facts = this.#facts
    await staged(this.path, async (directory) => {
      const schema = await this.#itemSchema()
      const params = { ...this.params, idCol: facts.idCol, columns: schema.fields.slice(1).map(({ name }) => name) }
      const segments = this.#segments.filter(({ numRows, numDeleted }) => numRows > numDeleted)
      const starts: number[] = []
      segments.reduce((sum, { numRows, numDeleted }) => {
        starts.push(sum)
        return sum + numRows - numDeleted
      }, 0)
      const spreading: Rebalancing = {
        path: this.path,
        facts,
        segments,
        starts,
        total,
        keys: shuffleKeys(Math.min(numPartitions, Math.max(1, total))),
      }
      let done: Built[] = []
      if (total > 0) {
        const spread = controlRows(this.#spark, segments.length).stage('spreadSegments', spreading, PIECES)
        const building: Building = { staged: directory, params, isUnique: false }
        done = await told<Built>(inOrder(spread, spreading.keys.length), 'buildPieces', building, run)
        for (const one of done) {
          const shard = spreading.keys.indexOf(one.order[0])
          if (one.segment.partition === undefined) one.order = [shard, '']
        }
        await this.#commit(directory, (await wholeOf(done, directory, schema, params)).built)
      } else await this.#commit(directory, this.#segments.slice(0, 1))
    })
  }

  /** Finds the least effort that reaches a recall, in a task, and keeps it. Undefined where the index is exact. */
  async tune(
    recall: number,
    { k = this.params.k, ...run }: { k?: number | undefined } & ExecuteOptions = {},
  ): Promise<TunedEffort | undefined> {
    const live = ({ numRows, numDeleted }: SegmentFacts) => numRows - numDeleted
    const segment = this.#segments.reduce((most, one) => (live(one) > live(most) ? one : most))
    const stage = { path: this.path, segment, facts: this.#facts, k, recall, threads: this.params.threads }
    const [tuned] = await told<TunedEffort | null>(controlRows(this.#spark, 1), 'tuneSegment', stage, run)
    if (!tuned) return undefined
    const others = this.#facts.efforts.filter((one) => one.k !== k || one.recall !== recall)
    this.#facts = { ...this.#facts, efforts: [...others, tuned] }
    return tuned
  }

  async #effort(k: number, effort: Effort, run: ExecuteOptions): Promise<number | undefined> {
    if (typeof effort === 'number' || this.kind === 'flat') return typeof effort === 'number' ? effort : undefined
    const known = this.#facts.efforts.find((one) => one.k === k && one.recall === effort.recall)
    return (known ?? (await this.tune(effort.recall, { k, ...run })))?.effort
  }

  #neededColumns(
    schema: Schema,
    {
      excludeSelf,
      queryIdCol,
      queryFeaturesCol,
    }: Pick<IndexSearchOptions, 'excludeSelf' | 'queryIdCol' | 'queryFeaturesCol'>,
  ): string[] {
    const { idCol, featuresCol, queryPartitionsCol } = this.#facts
    const needed = [queryFeaturesCol ?? featuresCol]
    const id = queryIdCol ?? (excludeSelf ? idCol : undefined)
    if (id !== undefined) needed.push(id)
    if (queryPartitionsCol !== undefined) needed.push(queryPartitionsCol)
    const columns = [...new Set(needed)]
    selected(schema, columns)
    return columns
  }

  async #answerSchema(queries: Schema, columns: readonly string[]): Promise<Schema> {
    const { predictionCol } = this.params
    if (queries.names.includes(predictionCol)) {
      const text = `the queries have a column "${predictionCol}" already: name another predictionCol, or leave theirs out`
      throw new NighError('COLUMN_CONFLICT', text)
    }
    const [id, ...others] = (await this.#itemSchema()).fields
    const carried = columns.map((name) => {
      const field = others.find((other) => other.name === name)
      if (!field) throw columnNotFound(new Schema(others), name)
      return field
    })
    const neighbor = [new Field('neighbor', id!.type, false), new Field('distance', new Float32(), false), ...carried]
    const list = new List(new Field('item', new Struct(neighbor), false))
    return new Schema([...queries.fields, new Field(predictionCol, list, true)])
  }

  /** Ids and columns of the items. */
  async #itemSchema(): Promise<Schema> {
    const [{ columns }] = this.#segments as [SegmentFacts]
    const file = join(this.path, columns.name)
    if (!existsSync(file)) throw new NighError('INDEX_CHANGED', `${this.path}: was changed meanwhile: load it again`)
    return (await readTable(file)).schema()
  }

  #model() {
    return { path: this.path, facts: this.#facts, segments: this.#segments, generation: this.#generation }
  }

  #now({ facts, segments, generation }: { facts: IndexFacts; segments: SegmentFacts[]; generation: number }): void {
    this.#facts = facts
    this.#segments = segments
    this.#generation = generation
  }

  async #commit(directory: string, segments: SegmentFacts[]): Promise<void> {
    const facts = { ...this.#facts, efforts: [] }
    const generation = await commitStaged(this.path, directory, facts, segments, this.#generation)
    this.#now({ facts, segments, generation })
  }
}
