// Where datasets come from.
import { type RecordBatch, type Schema, Table } from 'apache-arrow'
import { invalidOption, NighError } from '../errors.ts'
import type { NativeScanOptions, NativeSource } from '../native.ts'
import { ArrowDataset, type DatasetOptions } from './dataset.ts'
import { tableToIpc } from './ipc.ts'
import { type Row, tableFromRows } from './rows/convert.ts'
import { difference, withNullable } from './schema.ts'
import { isRecordBatch, isVectors, namingStdin, nativeSources, type TableInput, vectorsTable } from './source.ts'
import { isTable } from './steps/functions.ts'
import { iterableStep, type TableIterable, tablesStep } from './steps/memory.ts'
import { ScanStep } from './steps/scan.ts'

export interface ReadTableOptions extends DatasetOptions {
  /** The columns to read, in this order. Default: all. */
  columns?: readonly string[] | undefined
  /** A SQL where expression: the rows to read. It may use columns that are not read otherwise. */
  filter?: string | undefined
  /** The version of a Delta table. Default: the latest. */
  version?: number | undefined
  /** The version of a Delta table that was the latest then. */
  timestamp?: Date | string | number | undefined
}

/**
 * A table as a dataset: a path (Parquet, Arrow IPC, a Delta table with its `_delta_log` or `delta:` in front; a file, a directory or a glob),
 * several paths, or what joins take as well: apache-arrow Tables, record batches, IPC bytes, plain vectors. The files are looked at
 * once, their rows not read. A partition is a run of row groups or record batches of one file, of at most 128 MiB.
 */
export async function readTable(source: TableInput, options: ReadTableOptions = {}): Promise<ArrowDataset> {
  const { columns, filter, version, timestamp, ...rest } = options
  if (version !== undefined && timestamp !== undefined) throw invalidOption('version', 'give it or timestamp, not both')
  if (isTable(source) || isRecordBatch(source) || isVectors(source)) {
    if (version !== undefined || timestamp !== undefined)
      throw invalidOption('version', 'only Delta tables have versions')
    const given = fromTables([isVectors(source) ? vectorsTable(source) : source], rest)
    const filtered = filter === undefined ? given : given.filter(filter)
    const dataset = columns === undefined ? filtered : filtered.select(columns)
    await dataset.schema()
    return dataset
  }
  const sources = await nativeSources(source, options.signal)
  const scanning: NativeScanOptions = {
    ...(columns === undefined ? {} : { columns: [...columns] }),
    ...(filter === undefined ? {} : { filter }),
    ...(version === undefined ? {} : { version: checkedVersion(version) }),
    ...(timestamp === undefined ? {} : { timestampMs: msOf(timestamp) }),
  }
  const dataset = new ArrowDataset(
    new ScanStep({ sources, options: scanning, maxRecords: options.maxRecordsPerTable ?? -1 }),
    rest,
  )
  await namingStdin(source, () => dataset.schema())
  return dataset
}

/**
 * A table as one native source. Paths stay one path; tables that come one after the other are put together in memory.
 * INVALID_OPTION for several paths.
 */
export async function oneSource(input: TableInput, name: string, signal?: AbortSignal): Promise<NativeSource> {
  const sources = await nativeSources(input, signal)
  if (sources.length === 1) return sources[0]!
  if (sources.some(({ path }) => path !== undefined)) throw invalidOption(name, 'must be one table')
  const all = sources.map(({ ipc }) => ipc!)
  return { ipc: tableToIpc(await (await readTable(all, { signal })).toTable({ signal })) }
}

/** Tables in memory as a dataset, each a partition. Without a table, `schema` is needed. SCHEMA_MISMATCH if they differ. */
export function fromTables(
  tables: readonly (Table | RecordBatch)[],
  options: DatasetOptions & { schema?: Schema | undefined } = {},
): ArrowDataset {
  const { schema: given, ...rest } = options
  const all = tables.map((table) => (isTable(table) ? table : new Table([table])))
  const first = given ?? all[0]?.schema
  if (!first) throw invalidOption('schema', 'is needed where there is no table')
  for (const [i, table] of all.entries()) {
    const wrong = difference(table.schema, first)
    if (wrong) throw new NighError('SCHEMA_MISMATCH', `table ${i}: ${wrong}`)
  }
  const schema = given ?? all.map((table) => table.schema).reduce(withNullable)
  return new ArrowDataset(tablesStep(all, schema, options.maxRecordsPerTable ?? -1), rest)
}

/**
 * Rows as a dataset of `numPartitions` (default 1) runs of equal length, but for one row; no rows are no partition. INVALID_VALUE,
 * naming row and column, for what a column cannot hold. docs/datasets.md has the JavaScript value of each type.
 */
export function fromRows(
  rows: readonly Row[],
  schema: Schema,
  options: DatasetOptions & { numPartitions?: number | undefined } = {},
): ArrowDataset {
  const { numPartitions = 1, ...rest } = options
  if (!Number.isInteger(numPartitions) || numPartitions < 1) {
    throw invalidOption('numPartitions', `must be a whole number of 1 or more, not ${numPartitions}`)
  }
  const whole = tableFromRows(rows, schema)
  const bound = (i: number) => Math.floor((i * rows.length) / numPartitions)
  const count = rows.length === 0 ? 0 : numPartitions
  const tables = Array.from({ length: count }, (_, i) => whole.slice(bound(i), bound(i + 1)))
  return fromTables(tables, { ...rest, schema })
}

/**
 * Tables as an iterable gives them, in one partition: lazily, and as often as the dataset is read if a function is given that
 * makes a new iterable. Without `schema`, it is that of the first table, each column nullable.
 */
export function fromIterable(
  source: TableIterable | (() => TableIterable),
  options: DatasetOptions & { schema?: Schema | undefined } = {},
): ArrowDataset {
  const { schema, ...rest } = options
  return new ArrowDataset(iterableStep(source, schema, options.maxRecordsPerTable ?? -1), rest)
}

function checkedVersion(version: number): number {
  if (!Number.isInteger(version) || version < 0)
    throw invalidOption('version', `must be a whole number, not ${version}`)
  return version
}

function msOf(timestamp: Date | string | number): number {
  const ms = new Date(timestamp).getTime()
  if (Number.isNaN(ms)) throw invalidOption('timestamp', `${timestamp} is no date`)
  return ms
}
