import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NearestNeighbors } from '../../src/index.ts'
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
