import { availableParallelism } from 'node:os'
import { type DataType, type Schema, Table } from 'apache-arrow'
import { invalidOption } from '../errors.ts'
import { TablePartitions, tablesOf } from './partitions.ts'
import { type Row, tableToRows } from './rows/convert.ts'
import { emptyTable, retyped, withNullable } from './schema.ts'
import { onePartition, takeStep, unionStep } from './steps/combine.ts'
import {
  addingColumn,
  type ColumnFunction,
  type FilterFunction,
  filteringBy,
  flatMapping,
  mapping,
  type TableFunction,
  type TablesFunction,
} from './steps/functions.ts'
import { type GroupFunction, groupStep } from './steps/group.ts'
import { ScanStep } from './steps/scan.ts'
import { byFunction, byKey, type PartitionFunction, roundRobin, shuffleStep } from './steps/shuffle.ts'
import { learned, type Run, reading, type Step, schemaOf } from './steps/step.ts'
import { computing, filtering, selecting, transformStep } from './steps/transform.ts'
import { workerMapStep } from './steps/worker-map.ts'
import { isWorkerFunction, type WorkerFunction } from './workers/worker-function.ts'
import { type WriteOptions, type Written, writeBatches } from './write.ts'

/** How a dataset is read, whatever its steps. */
export interface DatasetOptions {
  /** Most rows of a table; -1 (default): one table a partition. */
  maxRecordsPerTable?: number | undefined
  /** Memory for rows on their way to other partitions: bytes, `512MB`, `2GiB`, or a percentage of what is free. Default `25%`. */
  memory?: number | string | undefined
  /** Directory for what that memory has no room for. Default: the system's. */
  tmp?: string | undefined
  /** Ends every reading of the dataset. */
  signal?: AbortSignal | undefined
}

export interface RunOptions {
  /** Ends this reading, with CANCELLED. */
  signal?: AbortSignal | undefined
}

export interface MapOptions {
  /** The schema of the tables that the function gives. Without it, that of the first one, each column nullable. */
  schema?: Schema | undefined
}

export interface WorkerMapOptions extends MapOptions {
  /** Number of worker threads. Default: the processors there are. */
  workers?: number | undefined
}

export interface PartitionOptions {
  /** Default: as many as there were. */
  numPartitions?: number | undefined
}

/** Where else than in this process a dataset's steps can run. */
export interface DatasetEngine<T> {
  dataset(dataset: ArrowDataset): T
}

/** What `groupBy` gives: a function over each group makes a dataset of it. */
export interface GroupedDataset {
  /**
   * A table of each group. The function is given the key's value (an object of values if there are several key columns) and the rows
   * of the group. Groups of a partition come in the order of their keys; their tables go on together where they are small.
   */
  map(fn: GroupFunction, options?: MapOptions): ArrowDataset
}

/**
 * A table whose elements are Arrow tables: partitions, each a stream of tables. Steps are lazy: nothing is read until the dataset
 * is, and then one table at a time goes through all of them. A dataset can be read any number of times.
 *
 * What is asked of columns by name or in SQL (`select`, `filter`, `partitionBy`, `groupBy`) and `write` works on native memory; an
 * apache-arrow Table is made only for the functions you pass and for what you read.
 */
export class ArrowDataset {
  readonly #step: Step
  readonly #options: DatasetOptions

  /** For the functions that make datasets: readTable, fromTables, fromRows, fromIterable. */
  constructor(step: Step, options: DatasetOptions) {
    const { maxRecordsPerTable } = options
    if (maxRecordsPerTable !== undefined && maxRecordsPerTable !== -1)
      positive('maxRecordsPerTable', maxRecordsPerTable)
    this.#step = step
    this.#options = options
  }

  /**
   * The schema, before a row is read. After a function (`map`, `flatMap`, `withColumn`, a group's `map`) that was not told its schema,
   * it is that of the first table, which is then read and made for it: SCHEMA_UNKNOWN if there is none.
   */
  async schema(options: RunOptions = {}): Promise<Schema> {
    const run = this.#run(options)
    const opened = await this.#step.open(run)
    try {
      return await schemaOf(opened, run)
    } finally {
      await opened.close()
    }
  }

  /** How many partitions there are; no row is read. */
  async numPartitions(options: RunOptions = {}): Promise<number> {
    const opened = await this.#step.open(this.#run(options))
    await opened.close()
    return opened.partitions.length
  }

  /** The partitions of one reading, each an async iterable of tables. Dispose of it when done (`await using`). */
  async partitions(options: RunOptions = {}): Promise<TablePartitions> {
    const run = this.#run(options)
    return new TablePartitions(await this.#step.open(run), run)
  }

  /** The tables, partition after partition. The next is made when it is asked for; a loop that is left frees everything. */
  tables(options: RunOptions = {}): AsyncGenerator<Table, void, undefined> {
    return tablesOf(this.#step, this.#run(options))
  }

  [Symbol.asyncIterator](): AsyncGenerator<Table, void, undefined> {
    return this.tables()
  }

  /**
   * A table made of each table by a function, here or in worker threads (`workerFunction`): order is kept, and at most two tables
   * are with each worker. What the function throws comes as FUNCTION_FAILED with it as the cause, naming the partition, and ends
   * the other workers.
   */
  map(fn: TableFunction, options?: MapOptions): ArrowDataset
  map(fn: WorkerFunction, options?: WorkerMapOptions): ArrowDataset
  map(fn: TableFunction | WorkerFunction, options: WorkerMapOptions = {}): ArrowDataset {
    const { schema, workers } = options
    if (isWorkerFunction(fn)) {
      if (workers !== undefined) positive('workers', workers)
      return this.#with(workerMapStep(this.#step, fn, workers ?? availableParallelism(), schema))
    }
    if (workers !== undefined) {
      const message =
        'need a function that they can import: workerFunction(import.meta.url, name), or { module, export }'
      throw invalidOption('workers', message)
    }
    return this.#with(transformStep(this.#step, mapping(fn, schema)))
  }

  /** Any number of tables made of each table. They are asked for one at a time. */
  flatMap(fn: TablesFunction, options: MapOptions = {}): ArrowDataset {
    return this.#with(transformStep(this.#step, flatMapping(fn, options.schema)))
  }

  /**
   * Some of the rows. A SQL where expression (`"country = 'FR' and price < 10"`) is evaluated in native memory, and next to the source it
   * leaves out what the statistics of files and row groups exclude. A function gives a value for each row of a table, true to keep
   * it, or the table with the rows to keep.
   */
  filter(where: string | FilterFunction): ArrowDataset {
    if (typeof where !== 'string') return this.#with(transformStep(this.#step, filteringBy(where)))
    if (this.#step instanceof ScanStep) return this.#with(this.#step.withFilter(where))
    return this.#with(transformStep(this.#step, filtering(where)))
  }

  /** Some of the columns, in this order. Next to the source, no others are read. */
  select(columns: readonly string[]): ArrowDataset {
    const narrowed = this.#step instanceof ScanStep ? this.#step.withColumns(columns) : undefined
    return this.#with(narrowed ?? transformStep(this.#step, selecting(columns)))
  }

  /**
   * A column more, or in place of the one of that name: the value of a SQL expression (`'price * 1.2'`, evaluated in native memory),
   * or what a function gives: a Vector with a value for each row of the table.
   */
  withColumn(name: string, expression: string): ArrowDataset
  withColumn(name: string, fn: ColumnFunction, options?: { type?: DataType }): ArrowDataset
  withColumn(name: string, value: string | ColumnFunction, options: { type?: DataType } = {}): ArrowDataset {
    const adding = typeof value === 'string' ? computing(name, value) : addingColumn(name, value, options.type)
    return this.#with(transformStep(this.#step, adding))
  }

  /** Rows dealt out to n partitions, one after the other, so that all have the same number but for one row. */
  repartition(numPartitions: number): ArrowDataset {
    positive('numPartitions', numPartitions)
    if (numPartitions === 1) return this.#with(onePartition(this.#step))
    return this.#shuffled(roundRobin, numPartitions)
  }

  /**
   * Rows with equal values in some columns to one partition; or each row to the partition whose number a function gives, from 0,
   * one for each row of a table (`numPartitions` is then needed, unless it stays as it is).
   */
  partitionBy(by: string | readonly string[] | PartitionFunction, options: PartitionOptions = {}): ArrowDataset {
    const { numPartitions } = options
    if (numPartitions !== undefined) positive('numPartitions', numPartitions)
    if (typeof by === 'function') return this.#shuffled((count) => byFunction(by, count), numPartitions)
    const columns = named('partitionBy', by)
    return this.#shuffled(() => byKey('partitionBy', columns), numPartitions)
  }

  /**
   * Rows with equal values in some columns, for a function. Rows go to partitions by key first; a partition's rows are then in
   * memory at once, so give `numPartitions` where they would not fit.
   */
  groupBy(by: string | readonly string[], options: PartitionOptions = {}): GroupedDataset {
    const columns = named('groupBy', by)
    if (options.numPartitions !== undefined) positive('numPartitions', options.numPartitions)
    const shuffled = this.#shuffled(() => byKey('groupBy', columns), options.numPartitions).#step
    const maxRecords = this.#maxRecords
    return {
      map: (fn, { schema } = {}) => this.#with(groupStep(shuffled, { columns, fn, schema, maxRecords })),
    }
  }

  /** The partitions of this dataset and then those of others, which have the same columns: SCHEMA_MISMATCH otherwise. */
  union(...others: readonly ArrowDataset[]): ArrowDataset {
    return this.#with(unionStep([this.#step, ...others.map((other) => other.#step)]))
  }

  /** The first rows, in one partition. No table is read after the one with the last of them. */
  take(numRows: number): ArrowDataset {
    if (!Number.isInteger(numRows) || numRows < 0) throw invalidOption('take', `must be a whole number, not ${numRows}`)
    return this.#with(takeStep(this.#step, numRows))
  }

  /** The same rows on an engine: `dataset.on(spark)`, which they travel to whole. */
  on<T>(engine: DatasetEngine<T>): T {
    return engine.dataset(this)
  }

  /** How many rows there are. Of files without a filter, by their metadata. */
  async count(options: RunOptions = {}): Promise<number> {
    const run = { ...this.#run(options), anySize: true }
    if (this.#step instanceof ScanStep && !this.#step.hasFilter) return this.#step.numRows(run)
    const opened = await this.#step.open(run)
    let rows = 0
    try {
      for await (const { batch } of reading(opened, run)) {
        rows += batch.numRows
        batch.dispose()
      }
    } finally {
      await opened.close()
    }
    return rows
  }

  /** All tables as one, in memory. */
  async toTable(options: RunOptions = {}): Promise<Table> {
    const run = this.#run(options)
    const opened = await this.#step.open(run)
    try {
      const tables: Table[] = []
      for await (const { batch } of reading(opened, run)) {
        tables.push(await batch.table())
        batch.dispose()
      }
      if (tables.length === 0) return emptyTable(learned(opened))
      const schema = tables.map((table) => table.schema).reduce(withNullable)
      return new Table(
        schema,
        tables.flatMap((table) => retyped(table, schema).batches),
      )
    } finally {
      await opened.close()
    }
  }

  /** All rows, in memory. docs/datasets.md has the JavaScript value of each type. */
  async toRows(options: RunOptions = {}): Promise<Row[]> {
    const rows: Row[] = []
    const run = { ...this.#run(options), anySize: true }
    for await (const table of tablesOf(this.#step, run)) for (const row of tableToRows(table)) rows.push(row)
    return rows
  }

  /**
   * Writes all rows. What is written is there complete or not at all; after an error, or a signal, nothing of it is left.
   * OUTPUT_EXISTS if there is something at the path and `mode` is `error`.
   */
  async write(path: string, options: WriteOptions = {}): Promise<Written> {
    const run = { ...this.#run(options), anySize: true }
    const opened = await this.#step.open(run)
    try {
      return await writeBatches(opened, run, path, options)
    } finally {
      await opened.close()
    }
  }

  get #maxRecords(): number {
    return this.#options.maxRecordsPerTable ?? -1
  }

  #with(step: Step): ArrowDataset {
    return new ArrowDataset(step, this.#options)
  }

  #shuffled(routing: Parameters<typeof shuffleStep>[1], numPartitions: number | undefined): ArrowDataset {
    const { memory, tmp } = this.#options
    return this.#with(shuffleStep(this.#step, routing, { numPartitions, memory, tmp, maxRecords: this.#maxRecords }))
  }

  #run({ signal }: RunOptions): Run {
    const signals = [this.#options.signal, signal].filter((one) => one !== undefined)
    return { signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0] }
  }
}

function positive(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw invalidOption(name, `must be a whole number of 1 or more, not ${value}`)
}

function named(step: string, by: string | readonly string[]): string[] {
  const columns = typeof by === 'string' ? [by] : [...by]
  if (columns.length === 0) throw invalidOption(step, 'needs a column')
  return columns
}
