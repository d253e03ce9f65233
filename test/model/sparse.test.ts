import {
  Field,
  Float64,
  Int8,
  Int32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { evaluate, type KnnJoinOptions, knnJoin, type Metric, selfJoin } from '../../src/index.ts'
import { METRICS } from '../../src/join/metric.ts'
import { randomSource } from '../../src/join/sample.ts'
import { readRows } from '../support/run.ts'

const list = (type: Int32 | Float64) => new List(new Field('element', type, true))
const PLAIN = new Struct([
  new Field('indices', list(new Int32()), true),
  new Field('values', list(new Float64()), true),
])
const SPARK = new Struct([
  new Field('type', new Int8(), false),
  new Field('size', new Int32(), true),
  new Field('indices', list(new Int32()), true),
  new Field('values', list(new Float64()), true),
])

/** Rows of which one number in 40 is not 0; some are zero, twins, or constant where they are not 0. */
function sparseRows(rows: number, dim: number, seed: number): Float32Array {
  const next = randomSource(seed)
  const out = new Float32Array(rows * dim)
  for (let row = 1; row < rows; row++) {
    if (row % 17 === 0) out.copyWithin(row * dim, (row - 1) * dim, row * dim)
    else
      for (let i = 0; i < dim / 40; i++) {
        out[row * dim + (next() % dim)] = row % 5 === 0 ? 1 : (next() % 2000) / 500 - 2
      }
  }
  return out
}

function tableOf(type: Struct, vectors: Float32Array, dim: number): Table {
  const rows = Array.from({ length: vectors.length / dim }, (_, row) => {
    const numbers = vectors.subarray(row * dim, (row + 1) * dim)
    const indices = [...numbers.keys()].filter((i) => numbers[i] !== 0)
    return { type: 0, size: dim, indices, values: indices.map((i) => numbers[i]!) }
  })
  const schema = new Schema([new Field('vector', type, false)])
  const children = type.children.map(
    (field) =>
      vectorFromArray(
        rows.map((row) => row[field.name as keyof (typeof rows)[number]]),
        field.type,
      ).data[0]!,
  )
  const column = makeData({ type, length: rows.length, children: children as never })
  return new Table([
    new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows.length, children: [column] })),
  ])
}

const dim = 400
const [items, queries] = [sparseRows(250, dim, 1), sparseRows(60, dim, 2)]
const dense = { items: { vectors: items, dim }, queries: { vectors: queries, dim } }

async function rowsOf(a: Parameters<typeof knnJoin>[0], b: Parameters<typeof knnJoin>[1], options: KnnJoinOptions) {
  return readRows((await knnJoin(a, b, options)).ipc!)
}

describe.each(METRICS)('%s of sparse vectors', (metric: Metric) => {
  const options = { metric, k: 7, exact: true }

  test('is that of dense ones, whichever side is sparse', async () => {
    const expected = await rowsOf(dense.queries, dense.items, options)
    for (const type of [SPARK, PLAIN]) {
      const sparse = { items: tableOf(type, items, dim), queries: tableOf(type, queries, dim) }
      // The largest index of some row is the last, or else the mean would be another.
      expect(await rowsOf(sparse.queries, sparse.items, options)).toEqual(expected)
      expect(await rowsOf(dense.queries, sparse.items, options)).toEqual(expected)
      expect(await rowsOf(sparse.queries, dense.items, options)).toEqual(expected)
    }
  })

  test('is that of dense ones in a self join', async () => {
    const expected = readRows((await selfJoin(dense.items, options)).ipc!)
    const result = await selfJoin(tableOf(SPARK, items, dim), { metric, k: 7, recall: 0.9 })
    expect(readRows(result.ipc!)).toEqual(expected)
    expect(result.report.plan.reason).toMatch(/searched exactly$/)
  })
})

test('sparse vectors of two billion dimensions are never written out', async () => {
  const wide = 2_000_000_000
  const rows = Array.from({ length: 2000 }, (_, row) => ({
    type: 0,
    size: wide,
    indices: [row, row + 1, wide - 1 - row],
    values: [1, 2, 3],
  }))
  const children = SPARK.children.map(
    (field) =>
      vectorFromArray(
        rows.map((row) => row[field.name as keyof (typeof rows)[number]]),
        field.type,
      ).data[0]!,
  )
  const column = makeData({ type: SPARK, length: rows.length, children: children as never })
  const schema = new Schema([new Field('vector', SPARK, false)])
  const struct = makeData({ type: new Struct(schema.fields), length: rows.length, children: [column] })
  // Dense they would take 16 TB.
  const result = await selfJoin(new Table([new RecordBatch(schema, struct)]), { k: 2, memory: '1GB', threads: 1 })
  expect(result.report.plan.memory?.way).toBe('memory')
  const { neighbors } = readRows(result.ipc!)[500]!
  expect(neighbors.map((n) => Number(n.neighbor))).toEqual([499, 501])
})

test('a result of sparse vectors is judged', async () => {
  const [a, b] = [tableOf(PLAIN, queries, dim), tableOf(SPARK, items, dim)]
  const result = await knnJoin(a, b, { metric: 'cosine', k: 5 })
  const judged = await evaluate(result.table(), a, b, { metric: 'cosine', k: 5 })
  expect(judged).toMatchObject({ recall: { estimate: 1 }, wrongDistances: 0, missingDistances: 0 })
})

test('without a size the largest index tells; with one, lengths must agree', async () => {
  const [short, long] = [sparseRows(20, 300, 3), sparseRows(20, 500, 4)]
  const wide = new Float32Array(20 * 500)
  for (let row = 0; row < 20; row++) wide.set(short.subarray(row * 300, row * 300 + 300), row * 500)
  const options = { metric: 'l1', k: 3 } as const
  const expected = await rowsOf({ vectors: wide, dim: 500 }, { vectors: long, dim: 500 }, options)
  expect(await rowsOf(tableOf(PLAIN, short, 300), tableOf(PLAIN, long, 500), options)).toEqual(expected)
  expect(await rowsOf(tableOf(PLAIN, short, 300), { vectors: long, dim: 500 }, options)).toEqual(expected)
  const join = knnJoin(tableOf(SPARK, short, 300), tableOf(SPARK, long, 500), options)
  await expect(join).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
})

test('malformed pairs are refused by row', async () => {
  const broken = (pairs: { indices: number[]; values: number[] }[]) => {
    const children = PLAIN.children.map(
      (field) =>
        vectorFromArray(
          pairs.map((pair) => pair[field.name as 'indices']),
          field.type,
        ).data[0]!,
    )
    const schema = new Schema([new Field('vector', PLAIN, false)])
    const column = makeData({ type: PLAIN, length: pairs.length, children: children as never })
    const struct = makeData({ type: new Struct(schema.fields), length: pairs.length, children: [column] })
    return selfJoin(new Table([new RecordBatch(schema, struct)]), { k: 1 })
  }
  const good = { indices: [3], values: [1] }
  for (const bad of [
    { indices: [1, 2], values: [1] },
    { indices: [-1], values: [1] },
    { indices: [1], values: [Number.NaN] },
  ]) {
    await expect(broken([good, bad])).rejects.toMatchObject({
      code: 'INVALID_VECTOR',
      message: expect.stringContaining('row 1'),
    })
  }
})
