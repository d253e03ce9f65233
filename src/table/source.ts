// What a caller may hand in as a table, and how it reaches native code: paths as paths, everything else as Arrow IPC bytes
// or plain vectors.
import {
  Field,
  FixedSizeList,
  Float32,
  makeData,
  type RecordBatch,
  type Schema,
  Table,
  tableFromArrays,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import { NighError } from '../errors.ts'
import { type NativeSource, throwIfAborted } from '../native.ts'
import { tableToIpc } from './ipc.ts'
import { emptyTable } from './schema.ts'

/** Plain vectors: `vectors` holds a row after the other, `dim` numbers each. Without `ids`, ids are row numbers. */
export interface VectorsInput {
  ids?: Ids | undefined
  vectors: Float32Array
  dim: number
}

export type Ids =
  | readonly (number | bigint | string)[]
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Vector

/** Arrow data in memory: a table, a record batch, or the bytes of an IPC file or stream. */
export type ArrowInput = Table | RecordBatch | Uint8Array

/** Tables that come one after the other, each time they are asked for: an ArrowDataset. */
export interface TablesInput {
  tables(options?: { signal?: AbortSignal | undefined }): AsyncIterable<Table>
  /** Asked for where no table comes. */
  schema?(): Promise<Schema>
}

/**
 * A table: path (Parquet or Arrow IPC; a file, a directory, a glob, `s3://bucket/key`, a Delta table with or without `delta:` in
 * front, `delta:path@v3` or `delta:path@2026-01-01T00:00:00Z` for a version of it; `-` is IPC on stdin), several paths, Arrow data,
 * iterables of Arrow data, a dataset of tables, or plain vectors.
 */
export type TableInput =
  | string
  | readonly string[]
  | ArrowInput
  | AsyncIterable<ArrowInput>
  | Iterable<ArrowInput>
  | TablesInput
  | VectorsInput

/** The native sources of an input, and the size of what they hold in memory. */
export async function nativeSources(input: TableInput, signal?: AbortSignal): Promise<NativeSource[]> {
  if (typeof input === 'string') return [input === '-' ? { ipc: await readStdin(signal) } : { path: input }]
  if (isArrow(input)) return [{ ipc: ipcBytes(input) }]
  if (isVectors(input)) return [vectorsSource(input)]
  if (isTables(input)) return nativeSources(atLeastOne(input, signal), signal)
  if (!isIterable(input)) {
    throw new NighError(
      'INVALID_OPTION',
      'a table must be a path, Arrow data, an iterable of Arrow data, or { ids, vectors, dim }',
    )
  }
  const sources: NativeSource[] = []
  for await (const part of input as AsyncIterable<ArrowInput | string>) {
    throwIfAborted(signal)
    if (typeof part === 'string') sources.push({ path: part })
    else if (isArrow(part)) sources.push({ ipc: ipcBytes(part) })
    else
      throw new NighError('INVALID_OPTION', 'an iterable of tables must give Arrow tables, record batches or IPC bytes')
  }
  if (sources.length === 0) throw new NighError('INVALID_OPTION', 'an iterable of tables gave none: not even a schema')
  return sources
}

/** The tables of a dataset; where it has none, an empty one. */
export async function* atLeastOne(input: TablesInput, signal: AbortSignal | undefined): AsyncGenerator<Table> {
  let isEmpty = true
  for await (const table of input.tables({ signal })) {
    isEmpty = false
    yield table
  }
  if (isEmpty && input.schema) yield emptyTable(await input.schema())
}

/** Native code sees the bytes of stdin as those of any buffer: names it in a message. */
export function nameStdin(input: TableInput, message: string): string {
  return input === '-' ? message.replaceAll('Arrow IPC buffer 0', 'stdin') : message
}

/** The same in the errors of some work. */
export async function namingStdin<T>(input: TableInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (input !== '-' || !(error instanceof NighError)) throw error
    throw new NighError(error.code, nameStdin(input, error.message), { cause: error.cause })
  }
}

function checkVectors({ ids, vectors, dim }: VectorsInput): number {
  if (!(vectors instanceof Float32Array)) throw new NighError('INVALID_OPTION', 'vectors: must be a Float32Array')
  if (!Number.isInteger(dim) || dim < 1)
    throw new NighError('INVALID_OPTION', `dim: must be a whole number of 1 or more, not ${dim}`)
  if (vectors.length % dim !== 0) {
    throw new NighError('INVALID_OPTION', `vectors: ${vectors.length} numbers are no whole rows of ${dim}`)
  }
  const rows = vectors.length / dim
  if (ids !== undefined && ids.length !== rows) {
    throw new NighError('INVALID_OPTION', `ids: ${ids.length} ids for ${rows} vectors`)
  }
  return rows
}

function vectorsSource(input: VectorsInput): NativeSource {
  checkVectors(input)
  const { ids, vectors, dim } = input
  return ids === undefined ? { vectors, dim } : { vectors, dim, idsIpc: tableToIpc(idsTable(ids)) }
}

/** Plain vectors as a table of two columns, `id` and `vector`; the vectors are not copied. Without ids, they are row numbers. */
export function vectorsTable(input: VectorsInput): Table {
  const length = checkVectors(input)
  const { vectors, dim } = input
  const type = new FixedSizeList(dim, new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: vectors })
  const ids = idsTable(input.ids ?? Array.from({ length }, (_, i) => i)).getChild('id')!
  return new Table({ id: ids, vector: new Vector([makeData({ type, child, length, nullCount: 0 })]) })
}

/** A table of one column of ids. */
export function idsTable(ids: Ids): Table {
  if (ids instanceof Vector) return new Table({ id: ids })
  if (!Array.isArray(ids)) return tableFromArrays({ id: ids as Int32Array })
  // JavaScript's whole numbers are int64 ids, as those of row numbers.
  const whole = ids.every((id) => typeof id === 'bigint' || Number.isSafeInteger(id))
  if (whole) return tableFromArrays({ id: BigInt64Array.from(ids as (number | bigint)[], (id) => BigInt(id)) })
  if (ids.every((id) => typeof id === 'string')) return new Table({ id: vectorFromArray(ids as string[]) })
  throw new NighError('INVALID_OPTION', 'ids: must be whole numbers only or strings only')
}

function ipcBytes(data: ArrowInput): Uint8Array {
  if (data instanceof Uint8Array) return data
  return tableToIpc(isTable(data) ? data : new Table([data]))
}

async function readStdin(signal: AbortSignal | undefined): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  const onAbort = () => process.stdin.destroy()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  } catch (cause) {
    throwIfAborted(signal)
    throw new NighError('FILE_UNREADABLE', 'stdin cannot be read', { cause })
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  throwIfAborted(signal)
  return Buffer.concat(chunks)
}

// By shape, not by class: the caller may have an apache-arrow of its own.
function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && 'schema' in value && 'batches' in value
}

/** A record batch, but not a table. */
export function isRecordBatch(value: unknown): value is RecordBatch {
  return typeof value === 'object' && value !== null && 'schema' in value && 'numRows' in value && !('batches' in value)
}

function isArrow(value: unknown): value is ArrowInput {
  return value instanceof Uint8Array || isTable(value) || isRecordBatch(value)
}

/** Plain vectors, without columns. */
export function isVectors(value: unknown): value is VectorsInput {
  return typeof value === 'object' && value !== null && 'vectors' in value && 'dim' in value
}

export function isTables(value: unknown): value is TablesInput {
  return typeof value === 'object' && value !== null && 'tables' in value && typeof value.tables === 'function'
}

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}
