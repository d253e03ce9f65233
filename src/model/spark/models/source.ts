// Tables of a job: files that tasks read by themselves, in blocks, or rows that Spark has.
import { resolve } from 'node:path'
import { Table as ArrowTable, type Schema, type Table } from 'apache-arrow'
import type { Spark } from '../../../engine/spark/spark.ts'
import { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { invalidOption, NighError } from '../../../errors.ts'
import { addon, call, callNow, type DeltaFacts } from '../../../native.ts'
import { readTable } from '../../../table/datasets.ts'
import { allNullable, conform, emptyTable } from '../../../table/schema.ts'

/**
 * A table of the cluster: a path (Parquet, Delta, Arrow IPC) that the tasks see as this process does, `sql:SELECT ...`, or a dataset.
 */
export type SparkTable = string | SparkDataset

/** Files, as tasks are told of them. */
export interface Files {
  path: string
  /** Runs of row groups; a task that sees others reads another table. */
  numPartitions: number
}

export interface FileSource {
  files: Files
  /** By the metadata: of a Delta table with the deleted ones. */
  partitionRows: number[]
  schema: Schema
}

export type Source = FileSource | { rows: SparkDataset; schema: Schema }

/** A place among the rows of files: after `row` of the `rows` that a partition has by its metadata. Where it has others, in proportion. */
interface Place {
  partition: number
  row: number
  rows: number
}

/** Consecutive rows. */
export interface RowBlock {
  from: Place
  to: Place
}

/** Looks at a table: its schema and the size of its parts. */
export async function openSource(spark: Spark, input: SparkTable, name: string): Promise<Source> {
  if (typeof input !== 'string') {
    if (!(input instanceof SparkDataset)) throw invalidOption(name, 'must be a path, sql:SELECT ..., or a SparkDataset')
    return { rows: input, schema: await input.schema() }
  }
  if (input.startsWith('sql:')) return openSource(spark, spark.sql(input.slice(4)), name)
  const path = await pinned(input)
  const schema = await (await readTable(path)).schema()
  const scan = await call((native, job) => native.openScan([{ path }], { side: name }, job), {})
  try {
    const partitionRows = scan.partitions.map(({ numRows }) => numRows)
    return { files: { path, numPartitions: partitionRows.length }, partitionRows, schema }
  } finally {
    scan.dispose()
  }
}

/** The same table for all tasks: a Delta table as it is now. */
async function pinned(input: string): Promise<string> {
  if (input === '-') throw invalidOption('items', 'the tasks of a cluster do not see stdin')
  const isDelta = input.startsWith('delta:')
  const bare = isDelta ? input.slice('delta:'.length) : input
  const path = bare.includes('://') ? bare : resolve(bare)
  if (/@[^/]*$/.test(bare) || !(isDelta || callNow(() => addon().isDeltaTable(path))))
    return isDelta ? `delta:${path}` : path
  const { version } = JSON.parse(await call((native) => native.deltaSnapshot(path), {})) as DeltaFacts
  return `delta:${path}@v${version}`
}

/** All rows in so many blocks of equal size; fewer where there are fewer rows. */
export function blocksOfFiles(partitionRows: readonly number[], numBlocks: number): RowBlock[] {
  const total = partitionRows.reduce((sum, rows) => sum + rows, 0)
  const count = Math.min(numBlocks, total)
  let [partition, before] = [0, 0]
  const placeOf = (number: number): Place => {
    while (number > before + partitionRows[partition]!) before += partitionRows[partition++]!
    return { partition, row: number - before, rows: partitionRows[partition]! }
  }
  const places = Array.from({ length: count + 1 }, (_, i) => placeOf(Math.round((i * total) / count)))
  return places.slice(1).map((to, i) => ({ from: places[i]!, to }))
}

/** The rows of a block, in a task. */
export async function readBlock({ path, numPartitions }: Files, block: RowBlock, columns?: string[]): Promise<Table> {
  const dataset = await readTable(path, columns ? { columns } : {})
  const partitions = await dataset.partitions()
  try {
    if (partitions.length !== numPartitions) {
      const message = `${path} has ${partitions.length} partitions in a task and ${numPartitions} for the client`
      throw new NighError('SPARK_STORAGE', message)
    }
    const { from, to } = block
    const tables: Table[] = []
    for (let i = from.partition; i <= to.partition; i++) {
      const own: Table[] = []
      for await (const table of partitions.at(i)!) own.push(table)
      if (own.length === 0) continue
      const whole = concatTables(own)
      const bound = ({ row, rows }: Place) => Math.floor((row * whole.numRows) / Math.max(1, rows))
      const first = i === from.partition ? bound(from) : 0
      tables.push(whole.slice(first, i === to.partition ? bound(to) : whole.numRows))
    }
    return tables.length === 0 ? emptyTable(await dataset.schema()) : concatTables(tables)
  } finally {
    await partitions[Symbol.asyncDispose]()
  }
}

/** The rows of tables, without a copy. SCHEMA_MISMATCH where they have other columns. */
export function concatTables(tables: readonly Table[]): Table {
  const [first] = tables as [Table]
  if (tables.length === 1) return first
  const schema = allNullable(first.schema)
  const batches = tables.flatMap((table, i) => conform(table, schema, `piece ${i}`).batches)
  return new ArrowTable(schema, batches)
}
