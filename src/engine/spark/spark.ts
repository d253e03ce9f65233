import { type Data, Field, List, makeData, Schema, Table, Type } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import type { ArrowDataset, DatasetEngine } from '../../table/dataset.ts'
import { tableToIpc } from '../../table/ipc.ts'
import { recordBatch } from '../../table/schema.ts'
import { dataSource, localRelation, namedTable, type Relation, sqlQuery } from './connect/relations.ts'
import { type ExecuteOptions, type SparkOptions, SparkSession } from './connect/session.ts'
import { SparkDataset, type SparkDatasetOptions } from './spark-dataset.ts'
import { type Workers, type WorkersOptions, workersOf } from './workers.ts'

export interface ConnectOptions extends SparkOptions, WorkersOptions {
  signal?: AbortSignal | undefined
}

export interface SparkReadOptions extends SparkDatasetOptions {
  /** Default parquet. */
  format?: string | undefined
  /** Options of Spark's reader. */
  options?: Record<string, string> | undefined
}

/** Most bytes of a table that goes to the cluster within a plan. */
const LOCAL_BYTES = 64e6

/** An Apache Spark cluster, by its Connect server. Dispose of it: what it has of this session then ends. */
export class Spark implements AsyncDisposable, DatasetEngine<SparkDataset> {
  readonly session: SparkSession
  readonly #options: WorkersOptions

  private constructor(session: SparkSession, options: WorkersOptions) {
    this.session = session
    this.#options = options
  }

  /** `sc://host:port/;token=...;use_ssl=true`: the address as Spark's own clients take it. */
  static async connect(url: string, options: ConnectOptions = {}): Promise<Spark> {
    return new Spark(await SparkSession.connect(url, options), options)
  }

  /** A query's rows. A statement with effects runs by `execute`. */
  sql(query: string, options: SparkDatasetOptions = {}): SparkDataset {
    return this.#dataset(async () => sqlQuery(query), options)
  }

  async execute(statement: string, options: ExecuteOptions = {}): Promise<void> {
    await this.session.sql(statement, options)
  }

  table(name: string, options: SparkDatasetOptions = {}): SparkDataset {
    return this.#dataset(async () => namedTable(name), options)
  }

  /** Files of a format that the cluster knows: parquet, delta, ... */
  read(
    path: string | readonly string[],
    { format = 'parquet', options, ...rest }: SparkReadOptions = {},
  ): SparkDataset {
    return this.#dataset(async () => dataSource(format, [path].flat(), options), rest)
  }

  /** Rows of this process; they travel with each plan, so not over 64 MB of them. */
  dataset(dataset: ArrowDataset, options: SparkDatasetOptions = {}): SparkDataset {
    return this.#dataset(async () => {
      const ipc = tableToIpc(withLists(await dataset.toTable()))
      if (ipc.length <= LOCAL_BYTES) return localRelation(ipc)
      const message = `a table of ${Math.round(ipc.length / 1e6)} MB is too large to travel within a plan: write it to storage and use spark.read`
      throw new NighError('TOO_LARGE', message)
    }, options)
  }

  /** nigh on the cluster: sends it if it is not there. Functions do that when they first run. */
  workers(): Promise<Workers> {
    return workersOf(this.session, this.#options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close()
  }

  #dataset(build: () => Promise<Relation>, options: SparkDatasetOptions): SparkDataset {
    return new SparkDataset({ session: this.session, workers: () => this.workers() }, build, options)
  }
}

/** Lists in the place of fixed-size lists, which Spark has not. */
function withLists(table: Table): Table {
  const isFixed = (field: Field) => field.type.typeId === Type.FixedSizeList
  if (!table.schema.fields.some(isFixed)) return table
  const fields = table.schema.fields.map((field) =>
    isFixed(field) ? new Field(field.name, new List(field.type.children[0]!), field.nullable) : field,
  )
  const schema = new Schema(fields)
  const batches = table.batches.map((batch) => {
    const children = batch.data.children.map((data, i) =>
      isFixed(table.schema.fields[i]!) ? asList(data, fields[i]!.type as List) : data,
    )
    return recordBatch(schema, children, batch.numRows)
  })
  return new Table(schema, batches)
}

function asList(data: Data, type: List): Data {
  const { listSize } = data.type as unknown as { listSize: number }
  const { nullCount, length, offset } = data
  // The child of a slice is cut already, the bits of its nulls are not.
  const valueOffsets = Int32Array.from({ length: offset + length + 1 }, (_, i) => Math.max(0, i - offset) * listSize)
  const nullBitmap = nullCount > 0 ? data.nullBitmap : undefined
  return makeData({ type, offset, length, nullCount, nullBitmap, valueOffsets, child: data.children[0]! })
}
