// Typed arrays as one run of bytes, and back as views of it.

export type Numbers = Uint8Array | Uint32Array | Int32Array | Float32Array | Float64Array

const TYPES = [Uint8Array, Uint32Array, Int32Array, Float32Array, Float64Array] as const

/** How many there are, the type and the length of each, then each at a multiple of 8 bytes. */
export function packArrays(arrays: readonly Numbers[]): Uint8Array {
  const head = aligned(4 + 8 * arrays.length)
  const out = new Uint8Array(arrays.reduce((sum, array) => sum + aligned(array.byteLength), head))
  const numbers = new Uint32Array(out.buffer, 0, 1 + 2 * arrays.length)
  numbers[0] = arrays.length
  let at = head
  for (const [i, array] of arrays.entries()) {
    numbers[1 + 2 * i] = TYPES.findIndex((type) => array instanceof type)
    numbers[2 + 2 * i] = array.length
    out.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at)
    at += aligned(array.byteLength)
  }
  return out
}

export function unpackArrays(bytes: Uint8Array): Numbers[] {
  // Views begin at multiples of their size.
  const own = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes)
  const [count] = new Uint32Array(own.buffer, own.byteOffset, 1)
  const numbers = new Uint32Array(own.buffer, own.byteOffset + 4, 2 * count!)
  let at = own.byteOffset + aligned(4 + 8 * count!)
  return Array.from({ length: count! }, (_, i) => {
    const array = new TYPES[numbers[2 * i]!]!(own.buffer as ArrayBuffer, at, numbers[2 * i + 1]!)
    at += aligned(array.byteLength)
    return array
  })
}

const aligned = (bytes: number) => Math.ceil(bytes / 8) * 8
