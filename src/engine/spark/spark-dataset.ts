// Tables that stay on a Spark cluster. Steps are lazy, as those of ArrowDataset; functions run in Spark's tasks.
import { Binary, Field, Schema, type Table, Utf8 } from 'apache-arrow'
import { invalidOption, NighError } from '../../errors.ts'
import type { ArrowDataset } from '../../table/dataset.ts'
import { fromIterable } from '../../table/datasets.ts'
import { schemaFromIpc, tableFromIpc } from '../../table/ipc.ts'
import { type Row, tableToRows } from '../../table/rows/convert.ts'
import { columnsOf } from '../../table/schema.ts'
import type { WorkerFunction } from '../../table/workers/worker-function.ts'
import { sparkSchema } from './arrow-types.ts'
import { bundledFunction } from './bundle.ts'
import type { Relation } from './connect/relations.ts'
import * as relations from './connect/relations.ts'
import type { ExecuteOptions, SaveOptions, SparkSession } from './connect/session.ts'
import { ERROR_COLUMN, ERROR_MARK, failureOf, type Task, type TaskFunction } from './task/task.ts'
import { taskRelation, type Workers } from './workers.ts'

export interface SparkMapOptions {
  /** The schema of the tables that the function gives. Without it, the function is run over the first rows once more, to see. */
  schema?: Schema | undefined
}

export interface SparkDatasetOptions {
  /** Most rows of a table that a function is given; -1 (default): one table a partition. */
  maxRecordsPerTable?: number | undefined
}

/** What a group's function or a table's has to know of its cluster. */
export interface SparkContext {
  session: SparkSession
  workers(): Promise<Workers>
}

/** How what a function fails with comes back: in a row of a last column, so that Spark does not try again; or as the task's failure. */
type Failing = Task['errors']
type Build = (failing: Failing) => Promise<Relation>

/** Rows to learn a function's schema from. */
const LEARN_ROWS = 1000

export class SparkDataset {
  readonly #context: SparkContext
  readonly #build: Build
  readonly #options: SparkDatasetOptions
  /** Whether the last step is a function. */
  readonly #isMapped: boolean

  /** For `Spark`. */
  constructor(context: SparkContext, build: Build, options: SparkDatasetOptions = {}, isMapped = false) {
    const { maxRecordsPerTable = -1 } = options
    if (maxRecordsPerTable !== -1 && !(Number.isInteger(maxRecordsPerTable) && maxRecordsPerTable >= 1)) {
      throw invalidOption('maxRecordsPerTable', `must be a whole number of 1 or more, or -1, not ${maxRecordsPerTable}`)
    }
    this.#context = context
    this.#build = build
    this.#options = options
    this.#isMapped = isMapped
  }

  /** Spark's plan of it. A function that fails fails its task. */
  relation(): Promise<Relation> {
    return this.#build('raise')
  }

  select(columns: readonly string[]): SparkDataset {
    return this.#then((input) => relations.project(input, columns.map(relations.quoted)))
  }

  /** Rows for which a SQL condition of Spark's is true. */
  filter(where: string): SparkDataset {
    return this.#then((input) => relations.filter(input, where))
  }

  /** A column more, or in the place of the one of that name: a SQL expression of Spark's. */
  withColumn(name: string, expression: string): SparkDataset {
    return this.#then((input) => relations.withColumn(input, name, expression))
  }

  take(numRows: number): SparkDataset {
    return this.#then((input) => relations.limit(input, numRows))
  }

  sort(...keys: readonly (string | relations.SortKey)[]): SparkDataset {
    const all = keys.map((key) => (typeof key === 'string' ? { expression: relations.quoted(key) } : key))
    return this.#then((input) => relations.sort(input, all, true))
  }

  repartition(numPartitions: number): SparkDataset {
    return this.#then((input) => relations.repartition(input, numPartitions))
  }

  /** Rows with equal values in some columns to one partition. */
  partitionBy(by: string | readonly string[], options: { numPartitions?: number | undefined } = {}): SparkDataset {
    const columns = [by].flat().map(relations.quoted)
    return this.#then((input) => relations.repartitionBy(input, columns, options.numPartitions))
  }

  /** The rows of both. Columns go by place. */
  union(other: SparkDataset): SparkDataset {
    const build: Build = async () => relations.union(await this.#build('raise'), await other.#build('raise'))
    return new SparkDataset(this.#context, build, this.#options)
  }

  /** What a function of nigh's own gives for the tables of each partition: `stages` of the archive has it. */
  stage(builtin: string, options: unknown, schema: Schema): SparkDataset {
    const build: Build = async (failing) => {
      const [workers, input] = await Promise.all([this.#context.workers(), this.#build('raise')])
      const task: Task = { fn: { builtin }, kind: { name: 'stream', options }, errors: failing, learn: false }
      return taskRelation(this.#context.session, workers, input, task, failing === 'row' ? withErrors(schema) : schema)
    }
    return new SparkDataset(this.#context, build, this.#options, true)
  }

  /** A table made of each table by a function of a module, in the cluster's tasks. */
  map(fn: WorkerFunction, { schema }: SparkMapOptions = {}): SparkDataset {
    return this.#mapped(fn, schema, { name: 'map', maxRecords: this.#maxRecords })
  }

  /** Rows with equal values in some columns, for a function of a module: (key, tables) to a table, as `ArrowDataset.groupBy` has it. */
  groupBy(
    by: string | readonly string[],
    options: { numPartitions?: number | undefined } = {},
  ): { map(fn: WorkerFunction, options?: SparkMapOptions): SparkDataset } {
    const columns = [by].flat()
    const shuffled = this.partitionBy(columns, options)
    return {
      map: (fn, { schema } = {}) =>
        shuffled.#mapped(fn, schema, { name: 'group', columns, maxRecords: this.#maxRecords }),
    }
  }

  /** The tables, as Spark gives them. Spark waits for a slow reader, and a loop that is left ends the job. */
  async *tables(options: ExecuteOptions = {}): AsyncGenerator<Table, void, undefined> {
    for await (const table of this.#all(options)) if (table.numRows > 0) yield table
  }

  [Symbol.asyncIterator](): AsyncGenerator<Table, void, undefined> {
    return this.tables()
  }

  async toRows(options: ExecuteOptions = {}): Promise<Row[]> {
    const rows: Row[] = []
    for await (const table of this.tables(options)) for (const row of tableToRows(table)) rows.push(row)
    return rows
  }

  async count(options: ExecuteOptions = {}): Promise<number> {
    const one = this.#then((input) => relations.aggregateCount(input))
    for await (const table of one.tables(options)) return Number(table.getChildAt(0)!.get(0))
    return 0
  }

  async schema(options: ExecuteOptions = {}): Promise<Schema> {
    const none = this.#then((input) => relations.limit(input, 0))
    for await (const { schema } of none.#all(options)) return schema
    throw new NighError('SPARK_FAILED', 'Spark told no schema')
  }

  /** Its rows as a dataset of this machine, read from the cluster each time it is read. */
  toDataset(options: ExecuteOptions = {}): ArrowDataset {
    return fromIterable(() => this.#all(options))
  }

  /** Writes it by Spark, from the tasks to the storage: complete or not at all, as Spark's writer for that format has it. */
  async write(path: string, options: SaveOptions = {}): Promise<void> {
    await this.#raising(async (relation) => this.#context.session.save(relation, path, options))
  }

  async saveAsTable(name: string, options: SaveOptions = {}): Promise<void> {
    await this.#raising(async (relation) => this.#context.session.save(relation, { table: name }, options))
  }

  /** A view of this session. It is worked out whenever it is read. */
  async createTempView(name: string, options: ExecuteOptions = {}): Promise<void> {
    await this.#raising(async (relation) => this.#context.session.createTempView(relation, name, options))
  }

  get #maxRecords(): number {
    return this.#options.maxRecordsPerTable ?? -1
  }

  #then(next: (input: Relation) => Relation): SparkDataset {
    return new SparkDataset(this.#context, async () => next(await this.#build('raise')), this.#options)
  }

  #mapped(fn: WorkerFunction, given: Schema | undefined, kind: Task['kind']): SparkDataset {
    let learned = given
    const build: Build = async (failing) => {
      const [workers, packed, input] = await Promise.all([
        this.#context.workers(),
        bundledFunction(fn),
        this.#build('raise'),
      ])
      learned ??= await this.#learn(workers, packed, input, kind)
      const task: Task = { fn: packed, kind, errors: failing, learn: false }
      const schema = failing === 'row' ? withErrors(learned) : learned
      return taskRelation(this.#context.session, workers, input, task, schema)
    }
    return new SparkDataset(this.#context, build, this.#options, true)
  }

  async #learn(workers: Workers, fn: TaskFunction, input: Relation, kind: Task['kind']): Promise<Schema> {
    const task: Task = { fn, kind, errors: 'raise', learn: true }
    const some = relations.limit(input, LEARN_ROWS)
    const schema = new Schema([new Field('schema', new Binary(), true)])
    const relation = await taskRelation(this.#context.session, workers, some, task, schema)
    const one = new SparkDataset(this.#context, async () => relation)
    for await (const table of one.tables()) return sparkSchema(schemaFromIpc(table.getChildAt(0)!.get(0)))
    throw new NighError('SCHEMA_UNKNOWN', 'the function made no table: tell its schema (map(fn, { schema }))')
  }

  async *#all(options: ExecuteOptions): AsyncGenerator<Table, void, undefined> {
    try {
      const relation = await this.#build('row')
      for await (const ipc of this.#context.session.ipc(relation, options)) {
        const table = tableFromIpc(ipc)
        yield this.#isMapped ? withoutFailures(table) : table
      }
    } catch (error) {
      throw failureIn(error)
    }
  }

  async #raising(work: (relation: Relation) => Promise<void>): Promise<void> {
    try {
      await work(await this.#build('raise'))
    } catch (error) {
      throw failureIn(error)
    }
  }
}

function withErrors(schema: Schema): Schema {
  return new Schema([...schema.fields, new Field(ERROR_COLUMN, new Utf8(), true)])
}

/** A table without the column of failures, which has none. */
function withoutFailures(table: Table): Table {
  const last = table.numCols - 1
  for (const batch of table.batches) {
    const column = batch.getChildAt(last)!
    if (column.nullCount === column.length) continue
    for (const text of column) if (text !== null) throw failureOf(text)
  }
  const schema = new Schema(table.schema.fields.slice(0, last))
  return columnsOf(table, schema, [...schema.fields.keys()])
}

/** What a function failed with, where a task failed of it; what is wrong with the workers. */
export function failureIn(error: unknown): unknown {
  if (!(error instanceof NighError) || error.code !== 'SPARK_FAILED') return error
  const at = error.message.indexOf(ERROR_MARK)
  if (at >= 0) {
    const [json] = error.message.slice(at + ERROR_MARK.length).split('\n', 1)
    try {
      return failureOf(json!)
    } catch {
      return error
    }
  }
  const worker = /NIGH_WORKER: (.*)/.exec(error.message)
  return worker ? new NighError('SPARK_WORKER', worker[1]!, { cause: error }) : error
}
