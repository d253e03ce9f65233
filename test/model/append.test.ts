// Items appended to a model of lists: the lists stay, until what was added is much.

import { join } from 'node:path'
import { tableToIPC } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { BruteForce, NearestNeighbors, NearestNeighborsModel } from '../../src/index.ts'
import { neighborsOf } from '../support/arrow.ts'
import { randomVectors } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const [rows, dim, k] = [40_000, 16, 5]
const vectors = randomVectors(rows, dim, 3, 0.1)
const some = (first: number, end: number) => ({
  ids: Array.from({ length: end - first }, (_, i) => first + i),
  vectors: vectors.slice(first * dim, end * dim),
  dim,
})
// Of the items: on samples of them the recall was settled. Those of all parts are asked for.
const queries = {
  vectors: Float32Array.from({ length: 500 * dim }, (_, i) => vectors[80 * (i - (i % dim)) + (i % dim)]!),
  dim,
}
const BASE = 36_000

/** The stages that a call tells of. */
async function stagesOf(work: (onProgress: (event: { stage: string }) => void) => Promise<unknown>): Promise<string[]> {
  const stages = new Set<string>()
  await work(({ stage }) => stages.add(stage))
  return [...stages]
}

const params = { k, recall: 0.9, seed: 1 }
let exact: string[]
beforeAll(async () => {
  await using all = await new BruteForce({ k }).fit(some(0, rows))
  exact = neighborsOf(await all.transform(queries)).map(({ ids }) => ids.join())
})

async function recallOf(model: NearestNeighborsModel): Promise<number> {
  const found = neighborsOf(await model.transform(queries))
  const right = found.map(({ ids }, q) => ids.filter((id) => exact[q]!.split(',').includes(String(id))).length)
  return right.reduce((sum, count) => sum + count, 0) / (k * found.length)
}

test('new items are searched beside the lists, which are not made again', async () => {
  await using model = await new NearestNeighbors(params).fit(some(0, BASE))
  for (const [first, end] of [
    [BASE, 37_000],
    [37_000, 38_000],
    [38_000, 39_600],
  ] as const) {
    const stages = await stagesOf((onProgress) => model.append(some(first, end), { onProgress }))
    expect(stages).not.toContain('cluster')
    expect(model.numItems).toBe(end)
  }
  // The next ones make them more than a tenth.
  const stages = await stagesOf((onProgress) => model.append(some(39_600, rows), { onProgress }))
  expect(stages).toContain('cluster')
  expect(model.numItems).toBe(rows)
  expect(await recallOf(model)).toBeGreaterThan(0.87)
})

test('what was appended is found, saved, deleted and joined as all the rest', async () => {
  await using model = await new NearestNeighbors(params).fit(some(0, BASE))
  // Of several with one id the last stays.
  const twice = some(39_999, rows)
  const added = { ...some(38_000, rows), ids: [...some(38_000, 39_999).ids, 39_999] }
  expect(await model.append(added)).toEqual({ added: 2000, replaced: 0 })
  const nearest = neighborsOf(await model.transform({ ...twice, ids: [7] }))
  expect([nearest[0]!.ids[0], nearest[0]!.distances[0]]).toEqual([39_999, 0])
  expect(await model.append(some(36_000, 38_000))).toEqual({ added: 2000, replaced: 0 })
  expect(await recallOf(model)).toBeGreaterThan(0.87)

  const path = join(directory, 'grown')
  await model.save(path)
  await using loaded = await NearestNeighborsModel.load(path)
  expect(loaded.numItems).toBe(rows)
  expect(await recallOf(loaded)).toBeGreaterThan(0.87)

  const joined = (await model.joinSelf()).table()
  expect(joined.numRows).toBe(rows)
  expect(model.numItems).toBe(rows)

  await using other = await NearestNeighborsModel.load(path)
  await other.append({ ids: [50_000], vectors: vectors.slice(0, dim), dim })
  expect(await other.delete([39_999, 50_000, 0, 123_456])).toEqual({ deleted: 3 })
  const without = neighborsOf(await other.transform({ ...twice, ids: [7] }))
  expect(without[0]!.ids).not.toContain(39_999)
})

test('a replaced id keeps one vector, whichever part it is in', async () => {
  await using model = await new NearestNeighbors(params).fit(some(0, BASE))
  await model.append(some(BASE, 37_000))
  const moved = { ids: [36_500, 17], vectors: Float32Array.from({ length: 2 * dim }, () => 9), dim }
  expect(await model.append(moved)).toEqual({ added: 0, replaced: 2 })
  const found = neighborsOf(await model.transform({ vectors: moved.vectors.slice(0, dim), dim }))
  expect([...found[0]!.ids.slice(0, 2)].sort()).toEqual([17, 36_500])
  expect(model.numItems).toBe(37_000)
})

test('the same appends give the same bytes on any number of threads', async () => {
  const answers = []
  for (const numThreads of [1, 2]) {
    await using model = await new NearestNeighbors({ ...params, numThreads }).fit(some(0, BASE))
    await model.append(some(BASE, 38_000))
    answers.push(tableToIPC(await model.transform(queries)))
  }
  expect(answers[1]).toEqual(answers[0])
})

test('vectors of another length are refused, and the model stays', async () => {
  await using model = await new NearestNeighbors(params).fit(some(0, BASE))
  const wrong = { ids: [70_000], vectors: new Float32Array(3), dim: 3 }
  await expect(model.append(wrong)).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
  expect(model.numItems).toBe(BASE)
})
