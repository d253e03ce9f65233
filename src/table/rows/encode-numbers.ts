// Numbers, dates and times to typed arrays. Whole numbers out of range are refused.
import {
  type DataType,
  type Date_,
  DateUnit,
  type Float,
  type Int,
  Precision,
  type Timestamp,
  TimeUnit,
  Type,
} from 'apache-arrow'
import { BadValue, show } from './bad-value.ts'
import { float16Bits } from './float16.ts'

const MS_PER_DAY = 86_400_000
/** Units of a timestamp in a millisecond, or their inverse. */
const PER_MS = { [TimeUnit.MILLISECOND]: 1n, [TimeUnit.MICROSECOND]: 1000n, [TimeUnit.NANOSECOND]: 1_000_000n }

type Numbers = Int32Array | Float64Array
type IsNull = (i: number) => boolean

/** The typed array of a numeric type. */
export function encodeNumbers(values: readonly unknown[], isNull: IsNull, type: DataType): ArrayBufferView {
  const out = new type.ArrayType(values.length)
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    const toBigint = bigintOf(type)
    const wrapped: (value: bigint) => bigint =
      out instanceof BigInt64Array ? (value) => BigInt.asIntN(64, value) : (value) => BigInt.asUintN(64, value)
    for (let i = 0; i < values.length; i++) {
      if (isNull(i)) continue
      const value = toBigint(values[i])
      if (value === undefined || wrapped(value) !== value) throw wrong(i, values[i], type)
      out[i] = value
    }
  } else if (type.typeId === Type.Float) {
    encodeFloats(values, isNull, type as Float, out as Numbers)
  } else {
    const isDate = type.typeId === Type.Date
    for (let i = 0; i < values.length; i++) {
      if (isNull(i)) continue
      const value = isDate ? daysOf(values[i]) : values[i]
      // The array itself tells what its type can hold: another number comes back from it.
      if (typeof value !== 'number') throw wrong(i, values[i], type)
      out[i] = value
      if (out[i] !== value) throw wrong(i, value, type)
    }
  }
  return out
}

function encodeFloats(values: readonly unknown[], isNull: IsNull, { precision }: Float, out: Numbers): void {
  const largest =
    precision === Precision.HALF ? 65520 : precision === Precision.SINGLE ? 3.4028235677973366e38 : Infinity
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) continue
    const value = values[i]
    if (typeof value !== 'number') throw new BadValue(i, `${show(value)} is no number`)
    if (Math.abs(value) >= largest && Number.isFinite(value)) {
      throw new BadValue(i, `${value} is beyond float${precision === Precision.HALF ? 16 : 32}`)
    }
    out[i] = precision === Precision.HALF ? float16Bits(value) : value
  }
}

function bigintOf(type: DataType): (value: unknown) => bigint | undefined {
  const isTimestamp = type.typeId === Type.Timestamp
  const unit = isTimestamp ? (type as Timestamp).unit : TimeUnit.MILLISECOND
  const ofDate = isTimestamp || (type.typeId === Type.Date && (type as Date_).unit === DateUnit.MILLISECOND)
  const ofNumber = type.typeId === Type.Int
  return (value) => {
    if (typeof value === 'bigint') return value
    if (ofNumber) return Number.isSafeInteger(value) ? BigInt(value as number) : undefined
    if (!ofDate || !(value instanceof Date) || Number.isNaN(value.getTime())) return undefined
    const ms = value.getTime()
    if (unit !== TimeUnit.SECOND) return BigInt(ms) * PER_MS[unit]
    return ms % 1000 === 0 ? BigInt(ms / 1000) : undefined
  }
}

/** Whole days only: a time of day would be lost. */
function daysOf(value: unknown): unknown {
  return value instanceof Date && value.getTime() % MS_PER_DAY === 0 ? value.getTime() / MS_PER_DAY : undefined
}

function wrong(i: number, value: unknown, type: DataType): BadValue {
  const shown = value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : show(value)
  return new BadValue(i, `${shown} is no ${name(type)}`)
}

function name(type: DataType): string {
  if (type.typeId === Type.Int) return `${(type as Int).isSigned ? '' : 'u'}int${(type as Int).bitWidth}`
  if (type.typeId === Type.Date) return 'whole day (a Date at midnight UTC)'
  return String(type)
}
