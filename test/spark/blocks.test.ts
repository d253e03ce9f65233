// The parts of a shuffled join that need no cluster.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { joinParams } from '../../src/join/options.ts'
import { type CandidateBlock, packCandidates, unpackCandidates } from '../../src/model/spark/candidate-block.ts'
import { chooseMargin, recallsOf } from '../../src/model/spark/choose-margin.ts'
import { planSpark, type SideFacts } from '../../src/model/spark/join-plan.ts'
import { mergeCandidates } from '../../src/model/spark/merge-candidates.ts'
import { packArrays, unpackArrays } from '../../src/model/spark/packed-arrays.ts'
import { SliceFinder } from '../../src/model/spark/query-slices.ts'
import { shuffleKeys, sparkHash } from '../../src/model/spark/shuffle-keys.ts'
import { meetingMargin } from '../../src/partition/router.ts'

interface Candidate {
  query: number
  row: number
  distance: number
}

/** A block of some candidates; each query that is named has a place in it. */
function blockOf(queries: number[], candidates: Candidate[]): CandidateBlock {
  const own = (query: number) =>
    candidates.filter((c) => c.query === query).sort((a, b) => a.distance - b.distance || a.row - b.row)
  const all = queries.flatMap(own)
  const itemRows = [...new Set(all.map(({ row }) => row))]
  return {
    queries: Float64Array.from(queries),
    counts: Uint32Array.from(queries, (query) => own(query).length),
    items: Uint32Array.from(all, ({ row }) => itemRows.indexOf(row)),
    distances: Float32Array.from(all, ({ distance }) => distance),
    itemRows: Float64Array.from(itemRows),
    columns: Uint8Array.of(1, 2, 3),
  }
}

const FIRST = 2 ** 33
const partsOf = fc.array(
  fc.uniqueArray(fc.record({ query: fc.nat(6), row: fc.nat(40) }), {
    maxLength: 40,
    selector: ({ query, row }) => `${query}/${row}`,
  }),
  { minLength: 1, maxLength: 4 },
)

test('merging: the k nearest of all parts by (distance, row), each once', () => {
  fc.assert(
    fc.property(partsOf, fc.integer({ min: 1, max: 8 }), (parts, k) => {
      const distance = (query: number, row: number) => (query * 7 + row * 5) % 11
      const blocks = parts.map((part) => {
        const candidates = part.map((c) => ({ query: FIRST + c.query, row: c.row, distance: distance(c.query, c.row) }))
        const queries = [...new Set(candidates.map(({ query }) => query))].sort((a, b) => a - b)
        return blockOf(queries, candidates)
      })
      const merged = mergeCandidates(blocks, { first: FIRST, numRows: 7, k, mayRepeat: true })
      const expected = (query: number) => {
        const rows = [...new Set(parts.flat().flatMap((c) => (c.query === query ? c.row : [])))]
        return rows.sort((a, b) => distance(query, a) - distance(query, b) || a - b).slice(0, k)
      }
      const asked = [...new Set(parts.flat().map(({ query }) => query))].sort((a, b) => a - b)
      expect([...merged.present]).toEqual(asked)
      const places = blocks.flatMap(({ itemRows }) => [...itemRows])
      for (const [i, query] of asked.entries()) {
        const [from, to] = [i * k, i * k + merged.counts[i]!]
        expect([...merged.rows.subarray(from, to)]).toEqual(expected(query))
        expect([...merged.places.subarray(from, to)].map((place) => places[place])).toEqual(expected(query))
      }
    }),
  )
})

test('blocks are the same after a way through bytes, wherever these begin', () => {
  const block = blockOf(
    [3, 5, 9],
    [
      { query: 3, row: 2 ** 40, distance: 1.5 },
      { query: 9, row: 7, distance: 0 },
    ],
  )
  const bytes = packCandidates(block)
  const moved = new Uint8Array(bytes.length + 3)
  moved.set(bytes, 3)
  expect(unpackCandidates(moved.subarray(3))).toEqual(block)
  const arrays = [Int32Array.of(-1), Float64Array.of(), Uint8Array.of(9, 8)]
  expect(unpackArrays(packArrays(arrays))).toEqual(arrays)
})

test('a key for each partition', () => {
  // What Spark's `SELECT hash(1), hash(0)` gives.
  expect([1, 0].map(sparkHash)).toEqual([-559580957, 933211791])
  for (const n of [1, 2, 7, 200]) {
    const partitions = shuffleKeys(n).map((key) => ((sparkHash(key) % n) + n) % n)
    expect(partitions).toEqual(Array.from({ length: n }, (_, i) => i))
  }
})

test('slices are of one partition, and every row is in one', () => {
  const ranges = [
    { block: 0, first: 0, count: 2, rows: 12 },
    { block: 1, first: 3, count: 1, rows: 3 },
  ]
  const finder = new SliceFinder({ partitionRows: [7, 5, 0, 3], sliceRows: 4, ranges })
  expect([...finder.starts]).toEqual([0, 4, 7, 11, 12, 15])
  expect(Array.from({ length: 15 }, (_, row) => finder.of(14 - row)).reverse()).toEqual([
    ...[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 4, 4, 4],
  ])
  expect([0, 3, 4].map((slice) => finder.rangeOf(slice))).toEqual([0, 0, 1])
})

test('the margin is the least at which enough neighbors are met', () => {
  const query = { partitions: [0, 1, 2], margins: [0, 1, 3] }
  const at = (partitions: number[], margins: number[]) => ({ partitions, margins })
  expect(meetingMargin(query, at([0, 1], [0, 0.5]), true)).toBe(0)
  expect(meetingMargin(query, at([1, 0], [0, 0.5]), true)).toBe(0.5)
  expect(meetingMargin(query, at([1, 0], [0, 0.5]), false)).toBe(1)
  expect(meetingMargin(query, at([4], [0]), false)).toBe(Number.POSITIVE_INFINITY)
  const truth = { rows: [1, 2, 3, 4], distances: [1, 2, 3, 4], routes: [0, 1, 2, 4].map((p) => at([p], [0])) }
  const chosen = (recall: number) => chooseMargin([query], [truth], recall, false)
  expect(chosen(0.2)).toEqual({ margin: 0, recall: 0.25, spread: 1 })
  expect(chosen(0.5)).toEqual({ margin: 1, recall: 0.5, spread: 2 })
  expect(chosen(1)).toEqual({ margin: 3, recall: 0.75, spread: 3 })
  const found = { rows: [9, 2, 8], distances: [1, 2, 5] }
  expect([...recallsOf([truth], [found])]).toEqual([0.5])
})

test('the plan goes by bytes', () => {
  const facts = (rows: number, dim: number): SideFacts => ({
    size: { rows, dim, heldBytes: rows * 8, threadBytes: 0, givenBytes: 0 },
    partitionRows: Array.from({ length: 40 }, () => rows / 40),
    isPlain: true,
  })
  const plan = (items: SideFacts, queries: SideFacts | undefined, options: object, numTasks: number) =>
    planSpark({ items, queries, params: joinParams({ memory: '2GB', threads: 1, ...options }), numTasks })
  const [small, large] = [facts(1e5, 64), facts(4e7, 128)]
  expect(plan(small, small, {}, 4).strategy).toBe('broadcast')
  expect(plan(small, small, { exact: true }, 4).strategy).toBe('broadcast')
  expect(plan(small, undefined, { exact: true }, 4).strategy).toBe('grid')
  expect(plan(small, undefined, {}, 4)).toMatchObject({ strategy: 'partitions', numPartitions: 4 })
  expect(plan(large, small, { exact: true }, 4).strategy).toBe('grid')
  const parts = plan(large, small, {}, 4)
  expect(parts.strategy).toBe('partitions')
  expect(parts.numPartitions).toBeGreaterThan(10)
  // A task gets what fits: twice the memory, half of the partitions, about.
  const half = plan(large, small, { memory: '4GB' }, 4).numPartitions
  expect(half / parts.numPartitions).toBeGreaterThan(0.35)
  expect(half / parts.numPartitions).toBeLessThan(0.7)
})
