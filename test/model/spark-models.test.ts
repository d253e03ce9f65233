// What models on Spark do without Spark: how rows are cut, dealt out and merged.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { SegmentFacts } from '../../src/indexes/index-directory.ts'
import { type Cut, cutsOf, partitionOfPair, partitionsOfRow } from '../../src/model/spark/models/lsh-buckets.ts'
import { nearest } from '../../src/model/spark/models/merge.ts'
import { blocksOfFiles } from '../../src/model/spark/models/source.ts'
import { groupsOf } from '../../src/model/spark/models/transform.ts'
import { shuffleKeys, sparkHash } from '../../src/model/spark/shuffle-keys.ts'

test('blocks of files hold each row once, in order, and are of equal size', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 8 }), fc.integer({ min: 1, max: 12 }), (partitionRows, count) => {
      const starts = partitionRows.map((_, i) => partitionRows.slice(0, i).reduce((sum, rows) => sum + rows, 0))
      const total = partitionRows.reduce((sum, rows) => sum + rows, 0)
      const blocks = blocksOfFiles(partitionRows, count)
      const bounds = blocks.map(({ from, to }) => [starts[from.partition]! + from.row, starts[to.partition]! + to.row])
      expect(blocks).toHaveLength(Math.min(count, total))
      let end = 0
      for (const [first, last] of bounds as [number, number][]) {
        expect(first).toBe(end)
        expect(Math.abs(last - first - total / blocks.length)).toBeLessThanOrEqual(1)
        end = last
      }
      expect(end).toBe(total)
    }),
  )
})

test('each partition of a shuffle has a key', () => {
  for (const count of [1, 2, 5, 64, 200]) {
    const partitions = shuffleKeys(count).map((key) => ((sparkHash(key) % count) + count) % count)
    expect(partitions).toEqual(Array.from({ length: count }, (_, i) => i))
  }
})

test('merged answers are the k nearest of all, those of earlier groups first among equals', () => {
  const group = fc.array(fc.array(fc.nat(6), { maxLength: 5 }), { minLength: 4, maxLength: 4 })
  fc.assert(
    fc.property(fc.array(group, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 6 }), (groups, k) => {
      const sorted = groups.map((queries) => queries.map((distances) => distances.sort((a, b) => a - b)))
      const found = sorted.map((queries) => ({
        starts: Uint32Array.from([0, 1, 2, 3, 4], (end) => queries.slice(0, end).flat().length),
        distances: Float32Array.from(queries.flat()),
      }))
      const { rows, starts } = nearest(found, 4, k)
      const all = sorted.flatMap((queries) => queries.flat())
      for (const query of [0, 1, 2, 3]) {
        const own = Array.from(rows.subarray(starts[query], starts[query + 1]))
        const truth = sorted.flatMap((queries) => queries[query]!).sort((a, b) => a - b)
        expect(own.map((row) => all[row])).toEqual(truth.slice(0, k))
        // Of equal distances the lower rows, in order.
        own.slice(1).forEach((row, i) => {
          if (all[row] === all[own[i]!]) expect(row).toBeGreaterThan(own[i]!)
        })
      }
    }),
  )
})

test('two rows that share a bucket meet in the partition that tells of them, and in no other are they told of', () => {
  const hashes = fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 3, maxLength: 3 })
  const row = fc.record({ hashes, spin: fc.nat(1000) })
  const cut = fc.record({
    table: fc.nat(2),
    hash: fc.integer({ min: -2, max: 2 }),
    a: fc.integer({ min: 1, max: 4 }),
    b: fc.integer({ min: 1, max: 4 }),
  })
  const joins = fc.record({ numPartitions: fc.integer({ min: 1, max: 9 }), cuts: fc.array(cut), isSelf: fc.boolean() })
  fc.assert(
    fc.property(row, row, joins, (x, y, join) => {
      const cuts = join.isSelf ? join.cuts.map((one): Cut => ({ ...one, b: one.a })) : join.cuts
      const buckets = { ...join, cuts }
      const cutOf = cutsOf(buckets)
      const going = (side: 'a' | 'b', { hashes, spin }: typeof x) =>
        hashes.flatMap((hash, table) => [...partitionsOfRow(side, table, hash, spin, buckets, cutOf(table, hash))])
      const pair = (one: typeof x, other: typeof x) =>
        partitionOfPair(
          Float64Array.from(one.hashes),
          Float64Array.from(other.hashes),
          one.spin,
          other.spin,
          buckets,
          cutOf,
        )
      const told = pair(x, y)
      expect(told === undefined).toBe(x.hashes.every((hash, i) => hash !== y.hashes[i]))
      if (told === undefined) return
      expect(going('a', x)).toContain(told)
      expect(going(join.isSelf ? 'a' : 'b', y)).toContain(told)
      // Of a table with itself, whichever of the two comes first.
      if (join.isSelf) expect(pair(y, x)).toBe(told)
    }),
  )
})

test('shards that fit are searched together, in their order; one that does not by itself', () => {
  const segment = (sizeBytes: number) => ({ index: { sizeBytes }, columns: { sizeBytes: 1 } }) as SegmentFacts
  const sizes = (bytes: number) =>
    groupsOf([3, 4, 20, 1, 1].map(segment), bytes).map((group) => group.map(({ index }) => index.sizeBytes))
  expect(sizes(10)).toEqual([[3, 4], [20], [1, 1]])
  expect(sizes(1)).toEqual([[3], [4], [20], [1], [1]])
  expect(sizes(100)).toEqual([[3, 4, 20, 1, 1]])
})
