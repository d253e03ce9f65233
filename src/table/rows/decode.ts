// An Arrow column to JavaScript values, a column at a time: one loop for each type, no call for each value. docs/datasets.md has
// the value of each type. Reads apache-arrow's chunks as they are: values and offsets start at the slice, bitmaps do not.
import {
  type Data,
  type Decimal,
  type FixedSizeList,
  type Float,
  Precision,
  type Timestamp,
  TimeUnit,
  Type,
  type Vector,
} from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { decimalReader } from './decimal.ts'
import { float16 } from './float16.ts'

const MS_PER_DAY = 86_400_000
const LARGEST_DATE = 8.64e15

/** The values of a column, nulls as null. */
export function decodeVector(vector: Vector, name: string): unknown[] {
  const [first, ...more] = vector.data.map((chunk) => decode(chunk, name))
  return more.length > 0 ? (first ?? []).concat(...more) : (first ?? [])
}

/** The values of a chunk. */
export function decode(data: Data, name: string): unknown[] {
  // A table without rows may lack the children of its columns.
  if (data.length === 0) return []
  const values = decodeValid(data, name)
  if (data.typeId !== Type.Null && data.nullable && data.nullCount > 0) {
    const { nullBitmap, offset } = data
    for (let i = 0; i < values.length; i++) {
      const bit = offset + i
      if (((nullBitmap[bit >> 3]! >> (bit & 7)) & 1) === 0) values[i] = null
    }
  }
  return values
}

function decodeValid(data: Data, name: string): unknown[] {
  const { type, length } = data
  switch (type.typeId) {
    case Type.Null:
      return new Array(length).fill(null)
    case Type.Bool:
      return decodeBools(data)
    case Type.Float:
      return (type as Float).precision === Precision.HALF ? fill(length, float16Reader(data)) : numbers(data)
    case Type.Int:
    case Type.Time:
    case Type.Duration:
      return numbers(data)
    case Type.Date: {
      const scale = data.values instanceof Int32Array ? MS_PER_DAY : 1
      return fill(length, dateReader(data, scale, name))
    }
    case Type.Timestamp:
      return decodeTimestamps(data, name)
    case Type.Decimal:
      return fill(length, decimalReader(data.values as Uint32Array, type as Decimal))
    case Type.Utf8:
    case Type.LargeUtf8:
      return decodeTexts(data)
    case Type.Utf8View:
      return fill(length, (i) => text(viewBytes(data, i)))
    case Type.Binary:
    case Type.LargeBinary:
      return fill(length, bytesReader(data))
    case Type.BinaryView:
      return fill(length, (i) => viewBytes(data, i).slice())
    case Type.FixedSizeBinary:
      return fill(length, (i) => (data.values as Uint8Array).slice(i * data.stride, (i + 1) * data.stride))
    case Type.List:
    case Type.LargeList:
      return decodeLists(data, name)
    case Type.FixedSizeList: {
      const size = (type as FixedSizeList).listSize
      const items = decode(data.children[0]!, name)
      return fill(length, (i) => items.slice(i * size, (i + 1) * size))
    }
    case Type.Struct:
      return decodeStructs(data, name)
    case Type.Map:
      return decodeMaps(data, name)
    case Type.Dictionary: {
      const values = decodeVector(data.dictionary!, name)
      return fill(length, (i) => values[Number((data.values as Int32Array | BigInt64Array)[i])])
    }
    default:
      throw new NighError('COLUMN_TYPE', `column ${JSON.stringify(name)} of type ${type} has no JavaScript values`)
  }
}

function fill(length: number, value: (i: number) => unknown): unknown[] {
  const out = new Array(length)
  for (let i = 0; i < length; i++) out[i] = value(i)
  return out
}

function numbers({ values, length }: Data): unknown[] {
  return Array.from((values as Float64Array).subarray(0, length))
}

const float16Reader = (data: Data) => (i: number) => float16((data.values as Uint16Array)[i]!)

function decodeBools({ values, offset, length }: Data): unknown[] {
  return fill(length, (i) => (((values as Uint8Array)[(offset + i) >> 3]! >> ((offset + i) & 7)) & 1) === 1)
}

function dateReader({ values }: Data, scale: number, name: string): (i: number) => Date {
  return (i) => {
    const ms = Number((values as Int32Array | BigInt64Array)[i]) * scale
    if (Math.abs(ms) <= LARGEST_DATE) return new Date(ms)
    throw new NighError('INVALID_VALUE', `column ${JSON.stringify(name)}: ${values[i]} is beyond what a Date can be`)
  }
}

function decodeTimestamps(data: Data, name: string): unknown[] {
  const { unit } = data.type as Timestamp
  if (unit === TimeUnit.MICROSECOND || unit === TimeUnit.NANOSECOND) return numbers(data)
  return fill(data.length, dateReader(data, unit === TimeUnit.SECOND ? 1000 : 1, name))
}

const text = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

function decodeTexts({ values, valueOffsets, length }: Data): unknown[] {
  const bytes = values as Uint8Array
  if (length === 0) return []
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const offsets = valueOffsets as Int32Array | BigInt64Array
  let begin = Number(offsets[0])
  return fill(length, (i) => {
    const end = Number(offsets[i + 1])
    const value = begin === end ? '' : buffer.toString('utf8', begin, end)
    begin = end
    return value
  })
}

// Copied: a row outlives the table it came from, and should not keep it.
function bytesReader({ values, valueOffsets: offsets }: Data): (i: number) => Uint8Array {
  return (i) => (values as Uint8Array).slice(Number(offsets[i]), Number(offsets[i + 1]))
}

/** Bytes of a view: in the view itself up to 12, else in one of the buffers beside it. */
function viewBytes({ values, variadicBuffers }: Data, i: number): Uint8Array {
  const bytes = values as Uint8Array
  const view = new DataView(bytes.buffer, bytes.byteOffset + i * 16, 16)
  const size = view.getInt32(0, true)
  if (size <= 12) return bytes.subarray(i * 16 + 4, i * 16 + 4 + size)
  const start = view.getInt32(12, true)
  return variadicBuffers[view.getInt32(8, true)]!.subarray(start, start + size)
}

function decodeLists(data: Data, name: string): unknown[] {
  const { length, valueOffsets: offsets } = data
  if (length === 0) return []
  // Of the values, those of these lists: a slice keeps all of them.
  const first = Number(offsets[0])
  const items = decode(data.children[0]!.slice(first, Number(offsets[length]) - first), name)
  return fill(length, (i) => items.slice(Number(offsets[i]) - first, Number(offsets[i + 1]) - first))
}

function decodeStructs(data: Data, name: string): unknown[] {
  const out: Record<string, unknown>[] = fill(data.length, () => ({})) as Record<string, unknown>[]
  for (const [index, field] of data.type.children!.entries()) {
    const values = decode(data.children[index]!, `${name}.${field.name}`)
    for (let i = 0; i < out.length; i++) out[i]![field.name] = values[i]
  }
  return out
}

function decodeMaps(data: Data, name: string): unknown[] {
  const { length, valueOffsets: offsets } = data
  if (length === 0) return []
  const first = Number(offsets[0])
  const entries = data.children[0]!.slice(first, Number(offsets[length]) - first)
  const [keys, values] = entries.children.map((child) => decode(child, name))
  return fill(length, (i) => {
    const map = new Map<unknown, unknown>()
    for (let at = Number(offsets[i]) - first; at < Number(offsets[i + 1]) - first; at++) map.set(keys![at], values![at])
    return map
  })
}
