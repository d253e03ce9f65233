// Which partition a bucket is of. A bucket with too many pairs is cut on both sides, and each part of one side meets each of the other.
import { sparkHash } from '../shuffle-keys.ts'

/** How a large bucket is cut: into how many parts on each side. */
export interface Cut {
  table: number
  hash: number
  a: number
  b: number
}

/** Hash tables and partitions of a join. */
export interface Buckets {
  numPartitions: number
  cuts: Cut[]
  /** A table is joined with itself: its parts meet each other, and themselves. */
  isSelf: boolean
}

export type CutOf = (table: number, hash: number) => Cut | undefined

export function cutsOf({ cuts }: Buckets): CutOf {
  const known = new Map(cuts.map((cut) => [`${cut.table}/${cut.hash}`, cut]))
  return known.size === 0 ? () => undefined : (table, hash) => known.get(`${table}/${hash}`)
}

/** The partition of a part of a bucket. */
export function partitionOf(table: number, hash: number, partA: number, partB: number, numPartitions: number): number {
  const high = Math.floor(hash / 2 ** 32)
  let mixed = sparkHash(table ^ sparkHash(hash | 0))
  mixed = sparkHash(mixed ^ sparkHash(high | 0))
  if (partA > 0 || partB > 0) mixed = sparkHash(mixed ^ sparkHash(partA + 65_537 * partB))
  return (mixed >>> 0) % numPartitions
}

/** Where a row goes for a bucket of its own; `spin` deals the rows of a bucket out to its parts. */
export function* partitionsOfRow(
  side: 'a' | 'b',
  table: number,
  hash: number,
  spin: number,
  { numPartitions, isSelf }: Buckets,
  cut: Cut | undefined,
): Generator<number> {
  if (!cut) {
    yield partitionOf(table, hash, 0, 0, numPartitions)
    return
  }
  const own = spin % (side === 'a' ? cut.a : cut.b)
  const others = side === 'a' ? cut.b : cut.a
  for (let other = 0; other < others; other++) {
    const [x, y] = side === 'a' ? [own, other] : [other, own]
    // Of a table with itself, two parts meet once.
    yield isSelf
      ? partitionOf(table, hash, Math.min(x, y), Math.max(x, y), numPartitions)
      : partitionOf(table, hash, x, y, numPartitions)
  }
}

/** The one partition where two rows are a pair: that of the first bucket that both are in. Undefined where there is none. */
export function partitionOfPair(
  hashesA: Float64Array,
  hashesB: Float64Array,
  spinA: number,
  spinB: number,
  { numPartitions, isSelf }: Buckets,
  cutOf: CutOf,
): number | undefined {
  const table = hashesA.findIndex((hash, i) => hash === hashesB[i])
  if (table < 0) return undefined
  const hash = hashesA[table]!
  const cut = cutOf(table, hash)
  if (!cut) return partitionOf(table, hash, 0, 0, numPartitions)
  const [x, y] = [spinA % cut.a, spinB % cut.b]
  return isSelf
    ? partitionOf(table, hash, Math.min(x, y), Math.max(x, y), numPartitions)
    : partitionOf(table, hash, x, y, numPartitions)
}
