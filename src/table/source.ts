// What a caller may hand in as a table, and how it reaches native code: paths as paths, everything else as Arrow IPC bytes
// or plain vectors.
import { type RecordBatch, Table, tableFromArrays, tableToIPC, Vector, vectorFromArray } from 'apache-arrow'
import { NighError } from '../errors.ts'
import { type NativeSource, throwIfAborted } from '../native.ts'

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

/**
 * A table: path (Parquet or Arrow IPC; a file, a directory, a glob, `s3://bucket/key`, a Delta table with or without `delta:` in
 * front, `delta:path@v3` for a version of it; `-` is IPC on stdin), several paths, Arrow data,
 * iterables of Arrow data, or plain vectors.
 */
export type TableInput =
  | string
  | readonly string[]
  | ArrowInput
  | AsyncIterable<ArrowInput>
  | Iterable<ArrowInput>
  | VectorsInput

/** The native sources of an input, and the size of what they hold in memory. */
export async function nativeSources(input: TableInput, signal?: AbortSignal): Promise<NativeSource[]> {
  if (typeof input === 'string') return [input === '-' ? { ipc: await readStdin(signal) } : { path: input }]
  if (isArrow(input)) return [{ ipc: ipcBytes(input) }]
  if (isVectors(input)) return [vectorsSource(input)]
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

/** Native code sees the bytes of stdin as those of any buffer: names it in a message. */
export function nameStdin(input: TableInput, message: string): string {
  return input === '-' ? message.replaceAll('Arrow IPC buffer 0', 'stdin') : message
}

function vectorsSource({ ids, vectors, dim }: VectorsInput): NativeSource {
  if (!(vectors instanceof Float32Array)) throw new NighError('INVALID_OPTION', 'vectors: must be a Float32Array')
  if (!Number.isInteger(dim) || dim < 1)
    throw new NighError('INVALID_OPTION', `dim: must be a whole number of 1 or more, not ${dim}`)
  if (vectors.length % dim !== 0) {
    throw new NighError('INVALID_OPTION', `vectors: ${vectors.length} numbers are no whole rows of ${dim}`)
  }
  if (ids === undefined) return { vectors, dim }
  const rows = vectors.length / dim
  if (ids.length !== rows) throw new NighError('INVALID_OPTION', `ids: ${ids.length} ids for ${rows} vectors`)
  return { vectors, dim, idsIpc: tableToIPC(idsTable(ids), 'stream') }
}

function idsTable(ids: Ids): Table {
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
  return tableToIPC(isTable(data) ? data : new Table([data]), 'stream')
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

function isArrow(value: unknown): value is ArrowInput {
  if (value instanceof Uint8Array || isTable(value)) return true
  return typeof value === 'object' && value !== null && 'schema' in value && 'numRows' in value
}

function isVectors(value: unknown): value is VectorsInput {
  return typeof value === 'object' && value !== null && 'vectors' in value && 'dim' in value
}

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
}
