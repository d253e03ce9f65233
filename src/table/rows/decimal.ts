// Decimals as text, exact: what a number cannot hold. Arrow keeps the digits without the point, as a little-endian integer.
import type { Decimal } from 'apache-arrow'
import { BadValue, show } from './bad-value.ts'

/** Reads decimals as text with as many digits behind the point as the column has: `12.30`. */
export function decimalReader(words: Uint32Array, { bitWidth, scale }: Decimal): (i: number) => string {
  const stride = bitWidth / 32
  return (i) => {
    let unscaled = 0n
    for (let word = stride - 1; word >= 0; word--) unscaled = (unscaled << 32n) | BigInt(words[i * stride + word]!)
    return withPoint(BigInt.asIntN(bitWidth, unscaled), scale)
  }
}

function withPoint(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale))
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/** Writes text, bigints and numbers as decimals; what would have to be rounded is refused. */
export function encodeDecimals(values: readonly unknown[], isNull: (i: number) => boolean, type: Decimal): Uint32Array {
  const { bitWidth, precision, scale } = type
  const stride = bitWidth / 32
  const words = new Uint32Array(values.length * stride)
  const limit = 10n ** BigInt(precision)
  for (let i = 0; i < values.length; i++) {
    if (isNull(i)) continue
    let unscaled = unscaledOf(values[i], scale)
    if (unscaled === undefined || unscaled >= limit || unscaled <= -limit) {
      throw new BadValue(i, `${show(values[i])} is no decimal(${precision}, ${scale})`)
    }
    for (let word = 0; word < stride; word++) {
      words[i * stride + word] = Number(BigInt.asUintN(32, unscaled))
      unscaled >>= 32n
    }
  }
  return words
}

function unscaledOf(value: unknown, scale: number): bigint | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return undefined
  // A number is taken by its shortest text: 0.1 is 0.1.
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(String(value))
  if (!match || (!match[2] && !match[3])) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = BigInt(`${whole}${fraction}`)
  const shift = scale - fraction.length + Number(exponent)
  const divisor = 10n ** BigInt(Math.max(0, -shift))
  if (digits % divisor !== 0n) return undefined
  const unscaled = shift < 0 ? digits / divisor : digits * 10n ** BigInt(shift)
  return sign === '-' ? -unscaled : unscaled
}
