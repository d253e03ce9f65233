// The vector column of a table as one matrix of float32.
import {
  type Data,
  type DataType,
  type FixedSizeList,
  type Float,
  Precision,
  type RecordBatch,
  type Table,
  Type,
} from 'apache-arrow'
import { NighError } from '../errors.ts'
import { addon } from '../native.ts'
import { float16 } from './rows/float16.ts'
import { columnNotFound } from './schema.ts'

/** Vectors of a table: row i is `values.subarray(i * dim, (i + 1) * dim)`. */
export interface Vectors {
  /** numRows x dim numbers, row after row. */
  values: Float32Array
  /** Length of a vector; 0 for a list column without rows. */
  dim: number
  numRows: number
}

export interface VectorsOptions {
  /** Refuse NaN and infinity, for which every number is looked at once. Default true. */
  checkFinite?: boolean | undefined
}

/**
 * The vectors of a column: `fixed_size_list` or `list` of numbers, all of one length. Without a copy, as a view of the table's own
 * memory, where they are float32 and stand one after the other: in a table of one record batch, or slices of one. Copied
 * where record batches lie apart, or the numbers are float64, float16 or integers and are rounded to float32.
 *
 * COLUMN_NOT_FOUND and COLUMN_TYPE; naming the row, counted from 0: NULL_VECTOR for a null vector or a null in it, RAGGED_VECTOR for
 * a vector of another length than the first, INVALID_VECTOR for NaN, infinity, or a number beyond float32.
 */
export function vectors(table: Table | RecordBatch, column: string, options: VectorsOptions = {}): Vectors {
  const index = table.schema.fields.findIndex((field) => field.name === column)
  if (index < 0) throw columnNotFound(table.schema, column)
  const batches = 'batches' in table ? table.batches : [table]
  const chunks = batches.map((batch) => batch.data.children[index]!).filter((chunk) => chunk.length > 0)
  const type = table.schema.fields[index]!.type
  checkType(type, column)
  const parts: Float32Array[] = []
  let dim = type.typeId === Type.FixedSizeList ? (type as FixedSizeList).listSize : undefined
  let numRows = 0
  for (const chunk of chunks) {
    const place = { column, firstRow: numRows }
    dim ??= Number(chunk.valueOffsets[1]) - Number(chunk.valueOffsets[0])
    parts.push(numbersOf(chunk, dim, place))
    if (options.checkFinite !== false) checkFinite(parts.at(-1)!, dim, place)
    numRows += chunk.length
  }
  return { values: joined(parts), dim: dim ?? 0, numRows }
}

interface Place {
  column: string
  firstRow: number
}

function checkType(type: DataType, column: string): void {
  const isList = type.typeId === Type.FixedSizeList || type.typeId === Type.List || type.typeId === Type.LargeList
  const item = isList ? type.children[0]!.type.typeId : undefined
  if (item === Type.Float || item === Type.Int) return
  throw new NighError('COLUMN_TYPE', `column ${JSON.stringify(column)} is ${type}: vectors are lists of numbers`)
}

/** The numbers of a chunk's rows, checked but for being finite. */
function numbersOf(chunk: Data, dim: number, place: Place): Float32Array {
  checkRows(chunk, dim, place)
  const first = chunk.typeId === Type.FixedSizeList ? 0 : Number(chunk.valueOffsets[0])
  const items = chunk.children[0]!.slice(first, chunk.length * dim)
  if (items.nullCount > 0) {
    for (let i = 0; i < items.length; i++) {
      if (!items.getValid(i)) throw invalid('NULL_VECTOR', place, Math.floor(i / dim), `has a null at ${i % dim}`)
    }
  }
  return float32(items, dim, place)
}

function checkRows(chunk: Data, dim: number, place: Place): void {
  const offsets = chunk.typeId === Type.FixedSizeList ? undefined : chunk.valueOffsets
  const hasNulls = chunk.nullCount > 0
  if (!offsets && !hasNulls) return
  for (let i = 0; i < chunk.length; i++) {
    if (hasNulls && !chunk.getValid(i)) throw invalid('NULL_VECTOR', place, i, 'is null')
    const length = offsets ? Number(offsets[i + 1]) - Number(offsets[i]) : dim
    if (length !== dim) throw invalid('RAGGED_VECTOR', place, i, `has ${length} numbers, the first vector ${dim}`)
  }
}

function float32(items: Data, dim: number, place: Place): Float32Array {
  const { type, length } = items
  const values = items.values.subarray(0, length)
  if (values instanceof Float32Array) return values
  const out = new Float32Array(length)
  if (type.typeId === Type.Float && (type as Float).precision === Precision.HALF) {
    for (let i = 0; i < length; i++) out[i] = float16(values[i])
    return out
  }
  for (let i = 0; i < length; i++) {
    const value = Number(values[i])
    out[i] = value
    if (!Number.isFinite(out[i]) && Number.isFinite(value)) {
      throw invalid('INVALID_VECTOR', place, Math.floor(i / dim), `has ${value}, which is beyond float32`)
    }
  }
  return out
}

/** As many numbers are looked at natively: fewer take no longer here. */
const MANY_NUMBERS = 4096

function checkFinite(values: Float32Array, dim: number, place: Place): void {
  if (values.length >= MANY_NUMBERS && addon().allFinite(values)) return
  for (let i = 0; i < values.length; i++) {
    // The difference is 0 for finite numbers only, and costs less than asking.
    if (values[i]! - values[i]! !== 0) {
      throw invalid('INVALID_VECTOR', place, Math.floor(i / dim), `has ${values[i]} at ${i % dim}`)
    }
  }
}

function invalid(
  code: 'NULL_VECTOR' | 'RAGGED_VECTOR' | 'INVALID_VECTOR',
  { column, firstRow }: Place,
  row: number,
  what: string,
): NighError {
  return new NighError(code, `column ${JSON.stringify(column)}, row ${firstRow + row}: the vector ${what}`)
}

/** One array of all: a view where they follow each other in memory. */
function joined(parts: Float32Array[]): Float32Array {
  const [first] = parts
  if (!first) return new Float32Array(0)
  if (parts.length === 1) return first
  const total = parts.reduce((sum, part) => sum + part.length, 0)
  const follows = (part: Float32Array, i: number) => {
    const before = parts[i - 1]
    return !before || (before.buffer === part.buffer && before.byteOffset + before.byteLength === part.byteOffset)
  }
  if (parts.every(follows)) return new Float32Array(first.buffer, first.byteOffset, total)
  const out = new Float32Array(total)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
