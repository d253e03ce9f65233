// JavaScript values to an Arrow column, a column at a time. What a type cannot hold exactly is refused, but for floats, which round.
import {
  type Data,
  type DataType,
  type Decimal,
  type Dictionary,
  type Field,
  type FixedSizeList,
  makeData,
  Type,
  Vector,
} from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { BadValue, show } from './bad-value.ts'
import { encodeDecimals } from './decimal.ts'
import { encodeBytes, encodeFixedBytes, encodeTexts, encodeViews } from './encode-bytes.ts'
import { encodeNumbers } from './encode-numbers.ts'

/** Stands for a value of a row whose struct or list is null: no value is missing there. */
const MASKED = Symbol('masked')

/** A column of a field's type. BadValue for what it cannot hold. */
export function encode(field: Field, values: readonly unknown[]): Data {
  const { type } = field
  const length = values.length
  const isNull = (i: number) => values[i] === null || values[i] === undefined || values[i] === MASKED
  if (type.typeId === Type.Null) {
    const i = values.findIndex((_, i) => !isNull(i))
    if (i >= 0) throw new BadValue(i, `${show(values[i])} is not null`)
    return makeData({ type, length } as never)
  }
  const validity = bitmap(values, isNull, field)
  const common = { type, length, ...validity }
  const make = (props: object) => makeData({ ...common, ...props } as never) as Data
  switch (type.typeId) {
    case Type.Bool:
      return make({ data: encodeBools(values, isNull) })
    case Type.Int:
    case Type.Float:
    case Type.Date:
    case Type.Time:
    case Type.Timestamp:
    case Type.Duration:
      return make({ data: encodeNumbers(values, isNull, type) })
    case Type.Decimal:
      return make({ data: encodeDecimals(values, isNull, type as Decimal) })
    case Type.Utf8:
    case Type.LargeUtf8:
      return make(encodeTexts(values, isNull, type.typeId === Type.LargeUtf8))
    case Type.Binary:
    case Type.LargeBinary:
      return make(encodeBytes(values, isNull, type.typeId === Type.LargeBinary))
    case Type.Utf8View:
    case Type.BinaryView:
      return make(encodeViews(values, isNull, type.typeId === Type.Utf8View))
    case Type.FixedSizeBinary:
      return make({ data: encodeFixedBytes(values, isNull, (type as { byteWidth: number }).byteWidth) })
    case Type.List:
    case Type.LargeList:
    case Type.Map:
      return make(encodeLists(values, isNull, type))
    case Type.FixedSizeList:
      return make({ child: encodeFixedSizeLists(values, isNull, type as FixedSizeList) })
    case Type.Struct:
      return make({ children: encodeStructs(values, isNull, type) })
    case Type.Dictionary:
      return make(encodeDictionary(values, isNull, type as Dictionary))
    default:
      throw new NighError('COLUMN_TYPE', `column ${JSON.stringify(field.name)}: rows cannot be written as ${type}`)
  }
}

function bitmap(values: readonly unknown[], isNull: (i: number) => boolean, field: Field) {
  let nullCount = 0
  let nullBitmap: Uint8Array | undefined
  for (let i = 0; i < values.length; i++) {
    if (!isNull(i)) continue
    if (!field.nullable && values[i] !== MASKED) throw new BadValue(i, 'null, and the column may hold none')
    nullBitmap ??= new Uint8Array(((values.length + 63) >> 6) << 3).fill(255)
    nullBitmap[i >> 3]! &= ~(1 << (i & 7))
    nullCount++
  }
  return { nullCount, nullBitmap }
}

function encodeBools(values: readonly unknown[], isNull: (i: number) => boolean): Uint8Array {
  const bits = new Uint8Array(((values.length + 63) >> 6) << 3)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (value === true) bits[i >> 3]! |= 1 << (i & 7)
    else if (value !== false && !isNull(i)) throw new BadValue(i, `${show(value)} is neither true nor false`)
  }
  return bits
}

/** Lists and maps: all their items one after the other, and where each begins. */
function encodeLists(values: readonly unknown[], isNull: (i: number) => boolean, type: DataType) {
  const itemsOf = type.typeId === Type.Map ? mapEntries : listItems
  const large = type.typeId === Type.LargeList
  const offsets = large ? new BigInt64Array(values.length + 1) : new Int32Array(values.length + 1)
  const items: unknown[] = []
  for (let i = 0; i < values.length; i++) {
    if (!isNull(i)) for (const item of itemsOf(values[i], i)) items.push(item)
    offsets[i + 1] = large ? BigInt(items.length) : items.length
  }
  const child = inside(
    () => encode(type.children![0]!, items),
    (at) => ownerOf(offsets, at),
  )
  return { valueOffsets: offsets, child }
}

function listItems(value: unknown, i: number): ArrayLike<unknown> & Iterable<unknown> {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)) return value as unknown[]
  throw new BadValue(i, `${show(value)} is no list: pass an array or a typed array`)
}

function mapEntries(value: unknown, i: number): Iterable<unknown> {
  const entries: unknown[] | undefined =
    value instanceof Map || Array.isArray(value) ? [...value] : isObject(value) ? Object.entries(value) : undefined
  if (entries?.every((entry) => Array.isArray(entry) && entry.length === 2)) return entries
  throw new BadValue(i, `${show(value)} is no map: pass a Map, an object or pairs`)
}

/** The last list that begins at an item or before it, and is not empty. */
function ownerOf(offsets: Int32Array | BigInt64Array, item: number): number {
  let [low, high] = [0, offsets.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (Number(offsets[middle]) <= item) low = middle
    else high = middle
  }
  return low
}

function encodeFixedSizeLists(values: readonly unknown[], isNull: (i: number) => boolean, type: FixedSizeList): Data {
  const size = type.listSize
  const items = new Array<unknown>(values.length * size)
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) {
      items.fill(MASKED, i * size, (i + 1) * size)
      continue
    }
    const list = listItems(values[i], i)
    if (list.length !== size) throw new BadValue(i, `a list of ${list.length}, where each has ${size}`)
    for (let at = 0; at < size; at++) items[i * size + at] = list[at]
  }
  return inside(
    () => encode(type.children[0]!, items),
    (at) => Math.floor(at / size),
  )
}

function encodeStructs(values: readonly unknown[], isNull: (i: number) => boolean, type: DataType): Data[] {
  const isPairs = (value: unknown) => Array.isArray(value)
  for (let i = 0; i < values.length; i++) {
    if (!isNull(i) && !isObject(values[i])) throw new BadValue(i, `${show(values[i])} is no object`)
  }
  return type.children!.map((field, index) => {
    const children = values.map((value, i) =>
      isNull(i)
        ? MASKED
        : isPairs(value)
          ? (value as unknown[])[index]
          : (value as Record<string, unknown>)[field.name],
    )
    return encode(field, children)
  })
}

function encodeDictionary(values: readonly unknown[], isNull: (i: number) => boolean, type: Dictionary) {
  const numbers = new Map<unknown, number>()
  const distinct: unknown[] = []
  const firstAt: number[] = []
  const indices: ArrayBufferView = new type.indices.ArrayType(values.length)
  const limit = 2 ** (type.indices.bitWidth - (type.indices.isSigned ? 1 : 0))
  const isBig = indices instanceof BigInt64Array || indices instanceof BigUint64Array
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) continue
    const value = values[i]
    const key = value instanceof Date ? value.getTime() : value
    let number = numbers.get(key)
    if (number === undefined) {
      number = distinct.push(value) - 1
      if (number >= limit) throw new BadValue(i, `more than ${limit} different values, the most of a ${type}`)
      numbers.set(key, number)
      firstAt.push(i)
    }
    ;(indices as Int32Array)[i] = (isBig ? BigInt(number) : number) as number
  }
  const field = { name: '', type: type.dictionary, nullable: false } as Field
  const data = inside(
    () => encode(field, distinct),
    (at) => firstAt[at]!,
  )
  return { data: indices, dictionary: new Vector([data]) }
}

function inside(work: () => Data, ownerOf: (index: number) => number): Data {
  try {
    return work()
  } catch (error) {
    throw error instanceof BadValue ? error.at(ownerOf(error.index)) : error
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && !ArrayBuffer.isView(value)
}
