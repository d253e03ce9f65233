import { join } from 'node:path'
import {
  Binary,
  Bool,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Uint8,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { evaluate, explainJoin, type KnnJoinOptions, knnJoin, NearestNeighbors, selfJoin } from '../../src/index.ts'
import { nearestRows, randomVectors, rowOf, trueDistance } from '../support/oracle.ts'
import { readRows, temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const plain = (rows: number[][]) => ({ vectors: Float32Array.from(rows.flat()), dim: rows[0]!.length })

async function distanceOf(metric: KnnJoinOptions['metric'], a: number[], b: number[]): Promise<number> {
  const result = await knnJoin(plain([a]), plain([b]), { metric, k: 1 })
  return readRows(result.ipc!)[0]!.neighbors[0]!.distance
}

// What hnswlib-spark states, but for the correlation of rows of different means, which is 0.
test.each([
  ['cosine', 0.2857142857],
  ['inner-product', 0.999],
  ['dot', 0.999],
  ['l2', 0.0282842712],
  ['squared-l2', 0.0008],
  ['canberra', 1],
  ['bray-curtis', 1 / 3],
  ['correlation', 2],
  ['l1', 0.04],
  ['manhattan', 0.04],
  ['hamming', 2],
  ['jaccard', 0],
] as const)('%s of two rows is %d', async (metric, distance) => {
  const found = await distanceOf(metric, [0.01, 0.02, 0.03], [0.03, 0.02, 0.01])
  expect(Math.abs(found - distance)).toBeLessThan(1e-6 * Math.max(distance, 0.1))
})

test('rows of different means correlate', async () => {
  expect(await distanceOf('correlation', [1, 2, 3], [11, 12, 13])).toBe(0)
  expect(await distanceOf('correlation', [5, 5, 5], [11, 12, 13])).toBe(1)
  expect(await distanceOf('correlation', [5, 5, 5], [0, 0, 0])).toBe(1)
})

test('the reason why a metric is searched exactly is in the plan', async () => {
  const vectors = randomVectors(2000, 8, 1)
  for (const metric of ['l1', 'canberra', 'bray-curtis', 'hamming', 'jaccard'] as const) {
    const { plan } = await explainJoin({ self: true }, { vectors, dim: 8 }, { metric, recall: 0.9 })
    expect(plan).toMatchObject({ method: 'exact', reason: `${metric} is searched exactly`, recall: 1 })
  }
})

test.each(['squared-l2', 'correlation'] as const)('%s is searched by lists where that is faster', async (metric) => {
  const dim = 24
  const rows = 40_000
  const vectors = randomVectors(rows, dim, 3)
  const result = await selfJoin({ vectors, dim }, { metric, k: 5, recall: 0.9 })
  expect(result.report.plan.method).toBe('cluster')
  const answers = readRows(result.ipc!)
  let [found, wanted] = [0, 0]
  for (let row = 0; row < rows; row += 1500) {
    const truth = nearestRows(metric, rowOf(vectors, dim, row), vectors, 5, row)
    const { neighbors } = answers[row]!
    for (const { neighbor, distance } of neighbors) {
      const exact = trueDistance(metric, rowOf(vectors, dim, row), rowOf(vectors, dim, Number(neighbor)))
      expect(Math.abs(distance - exact)).toBeLessThanOrEqual(1e-6 * exact + 1e-9)
    }
    wanted += truth.length
    found += truth.filter((t) => neighbors.some((n) => Number(n.neighbor) === t.row)).length
  }
  expect(found / wanted).toBeGreaterThan(0.85)
})

test('max distance is inclusive under every metric', async () => {
  const items = plain([
    [1, 2],
    [3, 2],
    [9, 9],
  ])
  for (const [metric, maxDistance] of [
    ['l1', 2],
    ['hamming', 1],
    ['squared-l2', 4],
    ['canberra', 0.5],
  ] as const) {
    const result = await knnJoin(plain([[1, 2]]), items, { metric, maxDistance, k: 3 })
    expect(readRows(result.ipc!)[0]!.neighbors.map((n) => n.distance)).toEqual([0, maxDistance])
  }
})

test('a result of spilled items, or of blocks of them, is that of all at once', async () => {
  const items = join(directory, 'items.arrows')
  writeClustered(items, { rows: 300_000, dim: 16 })
  const queries = { vectors: randomVectors(300, 16, 4), dim: 16 }
  for (const metric of ['l1', 'correlation', 'squared-l2'] as const) {
    const ask = { metric, k: 4, threads: 1, exact: true }
    const whole = await knnJoin(queries, items, ask)
    for (const [memory, way] of [
      ['25MB', 'spill'],
      ['10MB', 'blocks'],
    ] as const) {
      const tight = await knnJoin(queries, items, { ...ask, memory })
      expect(tight.report.plan.memory?.way).toBe(way)
      expect(tight.ipc).toEqual(whole.ipc)
    }
  }
})

describe('bits', () => {
  const [rows, dim] = [150, 45]
  const numbers = Float32Array.from(randomVectors(rows, dim, 7, 0.2), (x) => Number(x > 0.3))
  const booleans = Array.from({ length: rows }, (_, row) => Array.from(rowOf(numbers, dim, row), (x) => x === 1))
  const bytes = booleans.map((row) => {
    const packed = new Uint8Array(Math.ceil(dim / 8))
    for (const [i, bit] of row.entries()) if (bit) packed[i >> 3]! |= 1 << (i & 7)
    return packed
  })
  const element = (type: Bool | Uint8) => new Field('element', type, false)
  const fixed = () => {
    const type = new FixedSizeBinary(6)
    const data = Uint8Array.from(bytes.flatMap((row) => [...row]))
    const schema = new Schema([new Field('vector', type, false)])
    const children = [makeData({ type, data, length: rows })]
    return new Table([new RecordBatch(schema, makeData({ type: new Struct(schema.fields), children, length: rows }))])
  }
  const forms = {
    'list of boolean': () => new Table({ vector: vectorFromArray(booleans, new List(element(new Bool()))) }),
    'fixed list of boolean': () =>
      new Table({ vector: vectorFromArray(booleans, new FixedSizeList(dim, element(new Bool()))) }),
    'list of uint8': () =>
      new Table({
        vector: vectorFromArray(
          bytes.map((row) => [...row]),
          new List(element(new Uint8())),
        ),
      }),
    binary: () => new Table({ vector: vectorFromArray(bytes, new Binary()) }),
    'fixed size binary': fixed,
  }

  test.each(Object.entries(forms))('as %s give what the numbers 0 and 1 give', async (_, table) => {
    for (const metric of ['hamming', 'jaccard'] as const) {
      const options = { metric, k: 6 }
      const expected = readRows((await selfJoin({ vectors: numbers, dim }, options)).ipc!)
      expect(readRows((await selfJoin(table(), options)).ipc!)).toEqual(expected)
      const truth = nearestRows(metric, rowOf(numbers, dim, 3), numbers, 6, 3)
      expect(expected[3]!.neighbors.map((n) => Number(n.neighbor))).toEqual(truth.map((t) => t.row))
    }
  })

  test('are judged as bits', async () => {
    const result = await selfJoin(forms.binary(), { metric: 'jaccard', k: 3 })
    const judged = await evaluate(result.table(), undefined, forms.binary(), { metric: 'jaccard', k: 3 })
    expect(judged).toMatchObject({ recall: { estimate: 1 }, wrongDistances: 0, pairs: rows * 3 })
  })

  test('do not meet numbers, other lengths, or other metrics', async () => {
    const join = (other: Parameters<typeof knnJoin>[0], metric: 'hamming' | 'l2') =>
      knnJoin(other, forms.binary(), { metric })
    await expect(join({ vectors: numbers, dim }, 'hamming')).rejects.toMatchObject({ code: 'COLUMN_TYPE' })
    await expect(join(forms['list of boolean'](), 'hamming')).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
    await expect(join(forms.binary(), 'l2')).rejects.toMatchObject({ code: 'COLUMN_TYPE' })
  })

  test('that are null or of another length are refused by row', async () => {
    const vector = vectorFromArray([bytes[0]!, null, bytes[1]!.slice(1)], new Binary())
    const join = (options: KnnJoinOptions) => selfJoin(new Table({ vector }), { metric: 'hamming', ...options })
    await expect(join({})).rejects.toMatchObject({ code: 'NULL_VECTOR', message: expect.stringContaining('row 1') })
    expect((await join({ onInvalid: 'drop' })).report.rejected).toMatchObject({ items: 2 })
  })
})

describe('a function', () => {
  const [dim, rows] = [5, 120]
  const vectors = randomVectors(rows, dim, 9, 0.3)
  const l1 = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + Math.abs(x - b[i]!), 0)

  test('finds what the same metric by name finds', async () => {
    const options = { k: 7, maxDistance: 6 }
    for (const includeSelf of [false, true]) {
      const named = await selfJoin({ vectors, dim }, { ...options, includeSelf, metric: 'l1' })
      const custom = await selfJoin({ vectors, dim }, { ...options, includeSelf, metric: l1 })
      expect(custom.report.plan).toMatchObject({ metric: 'custom', reason: 'custom is searched exactly' })
      const [expected, found] = [readRows(named.ipc!), readRows(custom.ipc!)]
      for (const [i, row] of found.entries()) {
        expect(row.neighbors.map((n) => n.neighbor)).toEqual(expected[i]!.neighbors.map((n) => n.neighbor))
      }
    }
  })

  test('is asked with the query first', async () => {
    const ahead = (a: Float32Array, b: Float32Array) => b[0]! - a[0]!
    const result = await knnJoin(plain([[5]]), plain([[7], [4], [9]]), { metric: ahead, k: 2 })
    expect(readRows(result.ipc!)[0]!.neighbors.map((n) => n.distance)).toEqual([-1, 2])
  })

  test('answers a model, in batches', async () => {
    await using model = await new NearestNeighbors({ metric: l1, k: 3 }).fit({ vectors, dim })
    const all = await model.transform({ vectors, dim })
    const one = await model.transform({ vectors: vectors.slice(0, dim), dim })
    expect(one.get(0)!.toJSON().neighbors.toJSON()).toEqual(all.get(0)!.toJSON().neighbors.toJSON())
  })

  test('that gives no number is named', async () => {
    const join = selfJoin({ vectors, dim }, { metric: () => Number.NaN })
    await expect(join).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('query row 0'),
    })
  })
})
