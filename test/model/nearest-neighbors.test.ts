import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NearestNeighbors, selfJoin } from '../../src/index.ts'
import { randomVectors } from '../support/oracle.ts'
import { readRows } from '../support/run.ts'

const dim = 6
const items = { ids: Array.from({ length: 200 }, (_, i) => `item ${i}`), vectors: randomVectors(200, dim, 1), dim }
const queries = { vectors: randomVectors(10, dim, 2), dim }

test('fit gives a model, transform a table', async () => {
  await using model = await new NearestNeighbors({ k: 3 }).fit(items)
  expect(model.numItems).toBe(200)
  const table = await model.transform(queries)
  expect(table.numRows).toBe(10)
  expect(table.schema.names).toEqual(['id', 'neighbors'])
})

test('calls at the same time do not disturb each other', async () => {
  await using model = await new NearestNeighbors({ k: 3 }).fit(items)
  const results = await Promise.all([model.join(queries), model.joinSelf(), model.join(queries)])
  expect(results[2]!.ipc).toEqual(results[0]!.ipc)
  expect(results[1]!.report.rows.queries).toBe(200)
})

test('a failed call leaves the model as it was', async () => {
  await using model = await new NearestNeighbors({ k: 3 }).fit(items)
  await expect(model.transform({ vectors: new Float32Array(4), dim: 2 })).rejects.toMatchObject({
    code: 'DIMENSION_MISMATCH',
  })
  expect((await model.transform(queries)).numRows).toBe(10)
})

test('to a path: the file is there, and nothing else', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nigh-model-'))
  const to = join(directory, 'out.arrow')
  await using model = await new NearestNeighbors({ k: 3 }).fit(items)
  const result = await model.join(queries, { to })
  expect(result).toMatchObject({ path: to, ipc: undefined })
  expect(() => result.table()).toThrow('was written to')
  expect(readRows(to)).toEqual(readRows((await model.join(queries)).ipc!))
  expect(readdirSync(directory)).toEqual(['out.arrow'])
  await expect(model.join(queries, { to })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
})

test('after its disposal a model says so', async () => {
  const model = await new NearestNeighbors().fit(items)
  const running = model.transform(queries)
  await model[Symbol.asyncDispose]()
  expect((await running).numRows).toBe(10)
  await expect(model.transform(queries)).rejects.toMatchObject({ code: 'DISPOSED' })
  await model[Symbol.asyncDispose]()
})

test('wrong params fail in the constructor', () => {
  expect(() => new NearestNeighbors({ k: 0 })).toThrow(/^k: /)
})

test('disposing frees the native memory', async () => {
  // 20 models of 40 MB each: what leaks shows.
  const large = { vectors: randomVectors(80_000, 128, 1), dim: 128 }
  const resident = async () => {
    await using model = await new NearestNeighbors({ exact: true }).fit(large)
    expect(model.numItems).toBe(80_000)
    return process.memoryUsage().rss
  }
  const first = await resident()
  let last = first
  for (let i = 0; i < 20; i++) last = await resident()
  expect(last - first).toBeLessThan(300e6)
})

test('invalid rows are dropped, counted and written where asked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'nigh-model-'))
  const rejects = join(directory, 'rejects.arrow')
  const bad = queries.vectors.slice()
  bad[7] = Number.POSITIVE_INFINITY
  const params = { k: 3, onInvalid: 'drop', rejects } as const
  await using model = await new NearestNeighbors(params).fit(items)
  const { report } = await model.join({ vectors: bad, dim })
  expect(report.rejected).toEqual({ queries: 1, items: 0, path: rejects })
  expect(report.rows.queries).toBe(9)
  expect(readdirSync(directory)).toEqual(['rejects.arrow'])
})

test('a model whose items do not fit is refused; a single join is not', async () => {
  const many = { vectors: randomVectors(60_000, 32, 3), dim: 32 }
  const tight = { k: 3, memory: '16MB', threads: 1 }
  await expect(new NearestNeighbors(tight).fit(many)).rejects.toMatchObject({ code: 'MEMORY_TOO_SMALL' })
  const { report } = await selfJoin(many, { ...tight, maxDistance: 0.01 })
  expect(report.plan.memory!.way).toBe('blocks')
})

test('few queries search lists by an effort that items told, alone as together', async () => {
  const many = { vectors: randomVectors(40_000, 16, 3), dim: 16 }
  const asked = randomVectors(40, 16, 3)
  await using model = await new NearestNeighbors({ k: 5, recall: 0.9 }).fit(many)
  const { report, ipc } = await model.join({ vectors: asked, dim: 16 })
  expect(report.plan).toMatchObject({ method: 'cluster', tuned: true })
  expect(report.recall).toMatchObject({ of: 'items', sampleSize: 1000 })
  expect(report.recall.estimate).toBeGreaterThanOrEqual(0.9)
  expect(report.seconds.tune).toBe(0)
  const together = readRows(ipc!).map((row) => row.neighbors)
  for (const row of [0, 7, 39]) {
    const alone = await model.join({ vectors: asked.subarray(row * 16, row * 16 + 16), dim: 16 })
    expect(readRows(alone.ipc!)[0]!.neighbors).toEqual(together[row])
  }
  const sample = { vectors: many.vectors.subarray(0, 1000 * 16), dim: 16 }
  const larger = (await model.join(sample)).report
  expect(larger.recall).not.toHaveProperty('of')
  expect(larger.tuning.map(({ sample }) => sample)).toEqual(['validate'])
})
