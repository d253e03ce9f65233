import {
  Table as ArrowTable,
  Field,
  FixedSizeList,
  Float32,
  makeData,
  RecordBatchStreamWriter,
  type Table,
  tableFromArrays,
  tableFromIPC,
  tableToIPC,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { NighError } from '../../src/errors.ts'
import { explainJoin, type KnnJoinOptions, knnJoin, type ProgressEvent, selfJoin } from '../../src/index.ts'
import { METRICS } from '../../src/join/metric.ts'
import type { Metric } from '../../src/native.ts'
import { nearestRows, randomVectors, rowOf } from '../support/oracle.ts'
import { type Row, readRows } from '../support/run.ts'

/** Ids are row numbers here. The order of equal distances and the last bits of a distance are the float64 oracle's. */
function expectExact(
  rows: Row[],
  metric: Metric,
  queries: Float32Array,
  items: Float32Array,
  dim: number,
  k: number,
  self = false,
) {
  expect(rows.length).toBe(queries.length / dim)
  for (const [i, { id, neighbors }] of rows.entries()) {
    expect(Number(id)).toBe(i)
    const truth = nearestRows(metric, rowOf(queries, dim, i), items, k, self ? i : -1)
    expect(neighbors.length).toBe(truth.length)
    for (const [j, { neighbor, distance }] of neighbors.entries()) {
      expect(Math.abs(distance - truth[j]!.distance)).toBeLessThanOrEqual(1e-4 * Math.abs(truth[j]!.distance) + 1e-6)
      if (self) expect(Number(neighbor)).not.toBe(i)
      const same = truth.filter((t) => Math.abs(t.distance - truth[j]!.distance) <= 1e-6 * Math.abs(t.distance))
      if (same.length === 1 && j < truth.length - 1) expect(Number(neighbor)).toBe(truth[j]!.row)
    }
    expect(new Set(neighbors.map((n) => n.neighbor)).size).toBe(neighbors.length)
  }
}

async function rowsOf(
  queries: Parameters<typeof knnJoin>[0],
  items: Parameters<typeof knnJoin>[1],
  options: KnnJoinOptions,
) {
  return readRows((await knnJoin(queries, items, options)).ipc!)
}

describe.each(METRICS)('%s agrees with a float64 oracle', (metric) => {
  test.each([1, 2, 3, 7, 16, 33, 100, 257])('at %i dimensions', async (dim) => {
    const [items, queries] = [randomVectors(400, dim, dim, 0.3), randomVectors(25, dim, dim + 1)]
    const rows = await rowsOf({ vectors: queries, dim }, { vectors: items, dim }, { metric, k: 7, exact: true })
    expectExact(rows, metric, queries, items, dim, 7)
  })

  test('in a self join with duplicates', async () => {
    const items = randomVectors(300, 12, 5, 0.5)
    const result = await selfJoin({ vectors: items, dim: 12 }, { metric, k: 5, exact: true })
    expectExact(readRows(result.ipc!), metric, items, items, 12, 5, true)
  })

  test('with zero vectors', async () => {
    const items = randomVectors(100, 8, 9)
    items.fill(0, 8 * 10, 8 * 13)
    const rows = await rowsOf({ vectors: items, dim: 8 }, { vectors: items, dim: 8 }, { metric, k: 100, exact: true })
    expectExact(rows, metric, items, items, 8, 100)
    if (metric === 'cosine') for (const { distance } of rows[11]!.neighbors) expect(distance).toBe(1)
  })
})

test('nearly equal vectors of norm 10,000 are told apart to 1e-4', async () => {
  const dim = 32
  const base = Float32Array.from({ length: dim }, (_, i) => (10_000 / Math.sqrt(dim)) * (i % 2 ? 1 : -1))
  const items = new Float32Array(50 * dim)
  for (let row = 0; row < 50; row++) {
    items.set(base, row * dim)
    items[row * dim + (row % dim)]! += (row + 1) / 64
  }
  const rows = await rowsOf({ vectors: base, dim }, { vectors: items, dim }, { k: 50, exact: true })
  expectExact(rows, 'l2', base, items, dim, 50)
})

test('int8 and f32 exact, and recall 1, give the same bytes', async () => {
  const dim = 64
  const [items, queries] = [randomVectors(3000, dim, 1, 0.1), randomVectors(200, dim, 2)]
  const join = async (options: KnnJoinOptions) =>
    (await knnJoin({ vectors: queries, dim }, { vectors: items, dim }, options)).ipc!
  expect(await join({ recall: 1 })).toEqual(await join({ exact: true }))
})

test('max distance, k above n, and include self', async () => {
  const items = randomVectors(50, 4, 3)
  const near = await selfJoin({ vectors: items, dim: 4 }, { k: 1000, maxDistance: 1 })
  for (const { neighbors } of readRows(near.ipc!)) {
    for (const { distance } of neighbors) expect(distance).toBeLessThanOrEqual(1)
  }
  const all = readRows((await selfJoin({ vectors: items, dim: 4 }, { k: 1000 })).ipc!)
  for (const { neighbors } of all) expect(neighbors.length).toBe(49)
  const withSelf = readRows((await selfJoin({ vectors: items, dim: 4 }, { k: 1, includeSelf: true })).ipc!)
  for (const { id, neighbors } of withSelf) expect(neighbors[0]).toMatchObject({ neighbor: id, distance: 0 })
})

test('the long layout has the same neighbors', async () => {
  const vectors = randomVectors(40, 6, 4)
  const nested = readRows((await selfJoin({ vectors, dim: 6 }, { k: 3 })).ipc!)
  const long = (await selfJoin({ vectors, dim: 6 }, { k: 3, layout: 'long' }))
    .table()
    .toArray()
    .map((row) => row.toJSON())
  const flat = nested.flatMap(({ id, neighbors }) =>
    neighbors.map(({ neighbor, distance }, i) => ({ query_id: id, rank: i + 1, neighbor_id: neighbor, distance })),
  )
  expect(long).toEqual(flat)
})

describe('inputs', () => {
  const dim = 5
  const vectors = randomVectors(30, dim, 6)
  const ids = Array.from({ length: 30 }, (_, i) => `row ${i}`)
  const arrowTable = (): Table => {
    const child = new Field('item', new Float32(), false)
    const data = makeData({
      type: new FixedSizeList(dim, child),
      length: 30,
      nullCount: 0,
      child: makeData({ type: new Float32(), length: vectors.length, nullCount: 0, data: vectors }),
    })
    return new ArrowTable({ id: vectorFromArray(ids, new Utf8()), vector: new Vector([data]) })
  }
  const expected = rowsOf({ ids, vectors, dim }, { ids, vectors, dim }, { k: 3 })
  async function* parts(table: Table) {
    yield table.slice(0, 7)
    yield tableToIPC(table.slice(7, 20), 'file')
    for (const batch of table.slice(20).batches) yield batch
  }
  const inputs: Record<string, () => Parameters<typeof knnJoin>[0]> = {
    'an Arrow table': () => arrowTable(),
    'a sliced Arrow table': () => tableFromIPC(tableToIPC(arrowTable())).slice(0, 30),
    'IPC file bytes': () => tableToIPC(arrowTable(), 'file'),
    'IPC stream bytes': () => tableToIPC(arrowTable(), 'stream'),
    'an array of tables': () => [arrowTable().slice(0, 11), arrowTable().slice(11)],
    'an async iterable of tables, bytes and batches': () => parts(arrowTable()),
    'what a stream writer wrote': () => new RecordBatchStreamWriter().writeAll(arrowTable().batches).toUint8Array(true),
  }
  test.each(Object.entries(inputs))('%s', async (_, input) => {
    expect(await rowsOf(input(), input(), { k: 3 })).toEqual(await expected)
  })

  test.each([
    ['numbers', [...ids.keys()]],
    ['bigints', [...ids.keys()].map((i) => BigInt(i) - 2n ** 60n)],
    ['Int32Array', Int32Array.from(ids.keys())],
    ['BigUint64Array', BigUint64Array.from(ids.keys(), (i) => 2n ** 63n + BigInt(i))],
    ['an Arrow vector', vectorFromArray(ids, new Utf8())],
  ])('ids as %s come back', async (_, given) => {
    const rows = await rowsOf({ ids: given, vectors, dim }, { ids: given, vectors, dim }, { k: 1 })
    expect(rows.map(({ id }) => String(id))).toEqual([...given].map(String))
    for (const { id, neighbors } of rows) expect(neighbors[0]!.neighbor).toEqual(id)
  })

  test.each([
    ['vectors that are no whole rows', { vectors: new Float32Array(7), dim: 2 }],
    ['ids of another number', { vectors: new Float32Array(8), dim: 2, ids: ['a'] }],
    ['ids of mixed types', { vectors: new Float32Array(4), dim: 2, ids: ['a', 1] }],
    ['a dim of 0', { vectors: new Float32Array(0), dim: 0 }],
    ['plain arrays', { vectors: [1, 2], dim: 2 }],
    ['a number', 7],
    ['no tables at all', []],
    ['an iterable of something', [{}]],
  ])('%s are refused', async (_, input) => {
    await expect(knnJoin(input as never, arrowTable())).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  test('a NaN among plain vectors names its row', async () => {
    const bad = vectors.slice()
    bad[17] = Number.NaN
    const failing = knnJoin({ vectors: bad, dim }, { vectors, dim })
    await expect(failing).rejects.toMatchObject({ code: 'INVALID_VECTOR', message: expect.stringContaining('row 3') })
  })

  test('other dimensions are refused with both numbers', async () => {
    const failing = knnJoin({ vectors: new Float32Array(6), dim: 3 }, { vectors, dim })
    await expect(failing).rejects.toMatchObject({
      code: 'DIMENSION_MISMATCH',
      message: expect.stringMatching(/3 .*5$/),
    })
  })

  test('a number as an id column is refused', async () => {
    const table = tableFromArrays({ id: new Float64Array(2), vector: new Float32Array(2) })
    await expect(knnJoin(table, table)).rejects.toBeInstanceOf(NighError)
  })
})

describe('while it runs', () => {
  const dim = 64
  const large = { vectors: randomVectors(60_000, dim, 8), dim }

  test('an aborted signal stops it at once, before and during', async () => {
    const reason = new Error('enough')
    await expect(selfJoin(large, { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'CANCELLED',
      cause: reason,
    })
    const controller = new AbortController()
    let aborted = 0
    const onProgress = ({ stage }: ProgressEvent) => {
      if (stage !== 'join' || aborted) return
      aborted = performance.now()
      controller.abort(reason)
    }
    const running = selfJoin(large, { exact: true, k: 100, signal: controller.signal, onProgress })
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED', cause: reason })
    expect(performance.now() - aborted).toBeLessThan(1000)
  })

  test('it tells how far it is, stage after stage, and leaves the main thread free', async () => {
    const events: ProgressEvent[] = []
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    await selfJoin(large, { exact: true, threads: 1, onProgress: (event) => events.push(event) })
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(5)
    const stages = [...new Set(events.map(({ stage }) => stage))]
    expect(stages).toEqual(['read', 'join', 'write'])
    expect(events.filter(({ stage }) => stage === 'join').at(-1)).toEqual({
      stage: 'join',
      done: 60_000,
      total: 60_000,
    })
    for (const { done, total } of events) expect(total === 0 || done <= total).toBe(true)
  })
})

test('a plan is explained without a join', async () => {
  const items = { vectors: randomVectors(1000, 8, 1), dim: 8 }
  const { plan, text } = await explainJoin({ self: true }, items, { k: 4 })
  expect(plan).toMatchObject({ method: 'exact', k: 4, shape: { queries: 1000, items: 1000, dim: 8, self: true } })
  expect(text).toContain('1,000 rows')
})
