// Text and bytes to Arrow's buffers.
import { NighError } from '../../errors.ts'
import { BadValue, show } from './bad-value.ts'

type IsNull = (i: number) => boolean

interface Bytes {
  data: Uint8Array
  valueOffsets: Int32Array | BigInt64Array
}

const MOST = 2 ** 31 - 1

/** Texts in UTF-8, one after the other. */
export function encodeTexts(values: readonly unknown[], isNull: IsNull, large: boolean): Bytes {
  const offsets = new Float64Array(values.length + 1)
  let buffer: Buffer = Buffer.allocUnsafe(1024)
  let end = 0
  for (let i = 0; i < values.length; i++) {
    if (!isNull(i)) {
      const value = textOf(values[i], i)
      // Three bytes are the most that one UTF-16 unit becomes.
      if (end + value.length * 3 > buffer.length) buffer = grown(buffer, end, value.length * 3)
      end += buffer.write(value, end, 'utf8')
    }
    offsets[i + 1] = end
  }
  return { data: new Uint8Array(buffer.buffer, buffer.byteOffset, end), valueOffsets: offsetsOf(offsets, large) }
}

/** Byte strings, one after the other. */
export function encodeBytes(values: readonly unknown[], isNull: IsNull, large: boolean): Bytes {
  const offsets = new Float64Array(values.length + 1)
  for (let i = 0; i < values.length; i++) offsets[i + 1] = offsets[i]! + (isNull(i) ? 0 : bytesOf(values[i], i).length)
  const valueOffsets = offsetsOf(offsets, large)
  const data = new Uint8Array(offsets[values.length]!)
  for (let i = 0; i < values.length; i++) if (!isNull(i)) data.set(values[i] as Uint8Array, offsets[i])
  return { data, valueOffsets }
}

/** Byte strings of one width. */
export function encodeFixedBytes(values: readonly unknown[], isNull: IsNull, width: number): Uint8Array {
  const out = new Uint8Array(values.length * width)
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) continue
    const bytes = bytesOf(values[i], i)
    if (bytes.length !== width) throw new BadValue(i, `${bytes.length} bytes, where each value has ${width}`)
    out.set(bytes, i * width)
  }
  return out
}

/** Texts or byte strings as views: up to 12 bytes within the view, more in a buffer beside it. */
export function encodeViews(
  values: readonly unknown[],
  isNull: IsNull,
  isText: boolean,
): { views: Uint8Array; variadicBuffers: Uint8Array[] } {
  const views = new Uint8Array(values.length * 16)
  const view = new DataView(views.buffer)
  const long: Uint8Array[] = []
  let end = 0
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) continue
    const bytes = isText ? Buffer.from(textOf(values[i], i)) : bytesOf(values[i], i)
    view.setInt32(i * 16, bytes.length, true)
    views.set(bytes.subarray(0, bytes.length <= 12 ? 12 : 4), i * 16 + 4)
    if (bytes.length <= 12) continue
    view.setInt32(i * 16 + 12, end, true)
    long.push(bytes)
    end += bytes.length
  }
  if (end > MOST) throw tooLarge()
  const data = new Uint8Array(Buffer.concat(long, end))
  return { views, variadicBuffers: end > 0 ? [data] : [] }
}

function textOf(value: unknown, i: number): string {
  if (typeof value === 'string') return value
  throw new BadValue(i, `${show(value)} is no string`)
}

function bytesOf(value: unknown, i: number): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new BadValue(i, `${show(value)} is no Uint8Array`)
}

function grown(buffer: Buffer, used: number, more: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, used + more))
  buffer.copy(larger, 0, 0, used)
  return larger
}

function offsetsOf(offsets: Float64Array, large: boolean): Int32Array | BigInt64Array {
  if (large) return BigInt64Array.from(offsets, BigInt)
  if (offsets.at(-1)! > MOST) throw tooLarge()
  return Int32Array.from(offsets)
}

function tooLarge(): NighError {
  return new NighError(
    'TOO_LARGE',
    'a column of more than 2 GiB of text or bytes: make several tables, or use a large type',
  )
}
