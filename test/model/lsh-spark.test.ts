// Spark MLlib on the other side, with the same vectors, params and seeds.
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { BucketedRandomProjectionLSH } from '../../src/index.ts'
import { neighborsOf } from '../support/arrow.ts'
import { randomVectors } from '../support/oracle.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'
import { hashesOf, pairsOf } from './lsh-support.ts'

const directory = temporaryDirectory()
vi.setConfig({ testTimeout: 300_000 })
const dim = 12
const [a, b] = [randomVectors(400, dim, 1), randomVectors(150, dim, 2)]
const rows = (vectors: Float32Array) =>
  Array.from({ length: vectors.length / dim }, (_, i) => [...vectors.subarray(i * dim, (i + 1) * dim)])
const input = (vectors: Float32Array) => ({ vectors, dim })
const models = {
  fine: { seed: 42, numHashTables: 5, bucketLength: 0.37 },
  coarse: { seed: -3, numHashTables: 2, bucketLength: 2.5 },
}
const threshold = 4

interface Answers {
  hashes: number[][]
  join: [number, number, number][]
  self: [number, number, number][]
  nearest: number[]
}
let spark: Record<keyof typeof models, Answers> & { minHash: number[][] }

beforeAll(async () => {
  const [given, found] = [join(directory, 'in.json'), join(directory, 'out.json')]
  writeFileSync(given, JSON.stringify({ a: rows(a), b: rows(b), models, threshold }))
  runPython('spark_lsh.py', given, found)
  spark = JSON.parse(await readFile(found, 'utf8'))
}, 300_000)

test.each(['fine', 'coarse'] as const)('%s: hashes, joins and neighbors are those of Spark', async (name) => {
  const theirs = spark[name]
  await using model = await new BucketedRandomProjectionLSH(models[name]).fit(input(a))
  expect(hashesOf(await model.transform(input(b)))).toEqual(theirs.hashes)
  for (const [ours, expected] of [
    [await model.approxSimilarityJoin(input(a), input(b), threshold), theirs.join],
    [await model.approxSelfJoin(threshold), theirs.self],
  ] as const) {
    const pairs = pairsOf(await ours.toTable())
    expect(expected.length).toBeGreaterThan(100)
    expect(pairs.map(([x, y]) => [x, y])).toEqual(expected.map(([x, y]) => [x, y]))
    for (const [i, [, , distance]] of pairs.entries()) expect(distance).toBeCloseTo(expected[i]![2], 5)
  }
  const near = neighborsOf(await model.approxNearestNeighbors(input(b.subarray(0, dim)), 5))
  expect(near[0]!.ids).toEqual(theirs.nearest)
})

test('min-hashes are those of Spark', async () => {
  const sets = b.map((x) => (x > 0 ? 1 : 0))
  const model = new BucketedRandomProjectionLSH({ metric: 'jaccard', seed: 7, numHashTables: 4 }).createModel(dim)
  expect(hashesOf(await model.transform(input(sets)))).toEqual(spark.minHash)
})
