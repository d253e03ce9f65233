// numpy's file format, as much of it as the bench writes and reads: version 1, little endian, C order.
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'

function bytes(file: number, from: number, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const read = readSync(file, out, done, Math.min(length - done, 1 << 30), from + done)
    if (read === 0) throw new Error('a .npy file ends early')
    done += read
  }
  return out
}

/** The first rows of a matrix of float32. */
export function readFloats(path: string, rows: number, dim: number): Float32Array {
  const file = openSync(path, 'r')
  try {
    const start = 10 + new DataView(bytes(file, 8, 2).buffer).getUint16(0, true)
    return new Float32Array(bytes(file, start, rows * dim * 4).buffer)
  } finally {
    closeSync(file)
  }
}

/** The row numbers of `k` items for each query. */
export function writeRows(path: string, rows: BigInt64Array, k: number): void {
  const facts = `{'descr': '<i8', 'fortran_order': False, 'shape': (${rows.length / k}, ${k}), }`
  const header = `${facts.padEnd(128 - 10 - 1)}\n`
  const start = Uint8Array.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0])
  writeFileSync(path, Buffer.concat([start, Buffer.from(header), new Uint8Array(rows.buffer)]))
}

/** A vector of int64. */
export function readRows(path: string): number[] {
  const file = openSync(path, 'r')
  try {
    const start = 10 + new DataView(bytes(file, 8, 2).buffer).getUint16(0, true)
    const header = Buffer.from(bytes(file, 10, start - 10)).toString()
    const count = Number(/'shape': \((\d+),\)/.exec(header)?.[1])
    if (!header.includes("'<i8'") || !Number.isInteger(count)) throw new Error(`${path}: no vector of int64`)
    return Array.from(new BigInt64Array(bytes(file, start, count * 8).buffer), Number)
  } finally {
    closeSync(file)
  }
}
