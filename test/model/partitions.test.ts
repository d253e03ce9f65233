import { tableToIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { BruteForce, NearestNeighbors } from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'
import { randomVectors, trueDistance } from '../support/oracle.ts'

const shards = arrowTable({
  id: ['int', [10, 20, 5, 15]],
  vector: ['floats', [[0.1], [0.2], [0.05], [0.15]]],
  shard: ['int', [0, 0, 1, 1]],
})

test('candidates of two shards are merged, none lost', async () => {
  await using model = await new BruteForce({ k: 2, partitionCol: 'shard', queryPartitionsCol: 'sees' }).fit(shards)
  const queries = arrowTable({
    vector: ['floats', [[0], [0], [0], [0], [0], [0]]],
    sees: ['ints', [[0, 1], [0], [1, 1], [7], [], null]],
  })
  const answer = neighborsOf(await model.transform(queries))
  expect(answer.map(({ ids }) => ids)).toEqual([[5, 10], [10, 20], [5, 15], [], [], []])
  expect(answer[0]!.distances[0]).toBeCloseTo(0.05, 6)
})

test('without a column of theirs queries see all partitions', async () => {
  await using model = await new BruteForce({ k: 3, partitionCol: 'shard' }).fit(shards)
  expect(neighborsOf(await model.transform(arrowTable({ vector: ['floats', [[0]]] })))[0]!.ids).toEqual([5, 10, 15])
})

test('same country, then nearest: partitions by text, one for each query', async () => {
  const items = arrowTable({
    id: ['string', ['p', 'b', 'm', 'l']],
    vector: ['floats', [[1], [2], [3], [1.5]]],
    country: ['string', ['FR', 'DE', 'FR', 'FR']],
  })
  const params = { k: 2, partitionCol: 'country', queryPartitionsCol: 'country' }
  await using model = await new NearestNeighbors(params).fit(items)
  const queries = arrowTable({ vector: ['floats', [[0], [0], [0]]], country: ['string', ['DE', 'FR', 'IT']] })
  const table = await model.transform(queries)
  expect(table.schema.names).toEqual(['vector', 'country', 'neighbors'])
  expect(neighborsOf(table).map(({ ids }) => ids)).toEqual([['b'], ['p', 'l'], []])
  const summary = model.partitionSummaries()
  expect(summary.schema.names).toEqual(['partition', 'size'])
  expect(summary.toArray().map(({ partition, size }) => [partition, Number(size)])).toEqual([
    ['DE', 1],
    ['FR', 3],
  ])
  const self = await new NearestNeighbors({ ...params, excludeSelf: true }).fit(items)
  expect(neighborsOf(await self.transform(items)).map(({ ids }) => ids)).toEqual([
    ['l', 'm'],
    [],
    ['l', 'p'],
    ['p', 'm'],
  ])
  // Partition after partition.
  const joined = neighborsOf((await model.joinSelf()).table())
  expect(joined.map(({ ids }) => ids)).toEqual([[], ['l', 'm'], ['l', 'p'], ['p', 'm']])
})

test('an item without a partition and keys that can never be equal are errors that name the columns', async () => {
  const items = arrowTable({ id: ['int', [1, 2]], vector: ['floats', [[1], [2]]], c: ['string', ['FR', null]] })
  const params = { partitionCol: 'c', queryPartitionsCol: 'sees' }
  await expect(new BruteForce(params).fit(items)).rejects.toMatchObject({
    code: 'NULL_PARTITION',
    message: expect.stringMatching(/"c".*row 1/),
  })
  await using model = await new BruteForce({ ...params, partitionCol: 'shard' }).fit(shards)
  const queries = arrowTable({ vector: ['floats', [[1]]], sees: ['string', ['0']] })
  await expect(model.transform(queries)).rejects.toMatchObject({
    code: 'COLUMN_TYPE',
    message: expect.stringMatching(/"sees".*Utf8.*"shard"/),
  })
  const floats = arrowTable({ vector: ['floats', [[1]]], sees: ['floats', [[0]]] })
  await expect(model.transform(floats)).rejects.toMatchObject({ code: 'COLUMN_TYPE' })
  await expect(new BruteForce({ partitionCol: 'nope' }).fit(shards)).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
})

describe('many partitions', () => {
  const [rows, dim, numKeys] = [3000, 8, 7]
  const vectors = randomVectors(rows, dim, 5, 0.2)
  const row = (i: number) => vectors.subarray(i * dim, i * dim + dim)
  const key = (i: number) => Math.floor(i / 2) % numKeys
  const items = arrowTable({
    id: ['long', Array.from({ length: rows }, (_, i) => BigInt(i))],
    vector: ['floats', Array.from({ length: rows }, (_, i) => [...row(i)])],
    key: ['int', Array.from({ length: rows }, (_, i) => key(i))],
  })
  const sees = (i: number) => [i % numKeys, (i + 2) % numKeys, 99]
  const numQueries = 100
  const queries = arrowTable({
    id: ['long', Array.from({ length: numQueries }, (_, i) => BigInt(i))],
    vector: ['floats', Array.from({ length: numQueries }, (_, i) => [...row(i)])],
    sees: ['ints', Array.from({ length: numQueries }, (_, i) => sees(i))],
  })

  test('a self join stays within the partitions', async () => {
    await using model = await new BruteForce({ k: 6, partitionCol: 'key' }).fit(items)
    const table = (await model.joinSelf()).table()
    const ids = [...table.getChild('id')!].map(Number)
    const inOrder = Array.from({ length: rows }, (_, i) => i).sort((a, b) => key(a) - key(b) || a - b)
    expect(ids).toEqual(inOrder)
    const answer = neighborsOf(table)
    for (let at = 0; at < rows; at += 37) {
      const own = ids[at]!
      const others = inOrder.filter((i) => key(i) === key(own) && i !== own)
      const distances = others.map((i) => trueDistance('l2', row(own), row(i))).sort((a, b) => a - b)
      expect(answer[at]!.ids).toHaveLength(6)
      for (const [i, id] of answer[at]!.ids.entries()) {
        expect(others).toContain(id)
        expect(answer[at]!.distances[i]).toBeCloseTo(distances[i]!, 5)
      }
    }
  })

  test('numPartitions changes no byte of an answer, exact or not', async () => {
    const many = {
      ids: Array.from({ length: 30_000 }, (_, i) => i),
      vectors: randomVectors(30_000, 16, 3, 0.1),
      dim: 16,
    }
    const asked = { vectors: randomVectors(2000, 16, 4), dim: 16 }
    for (const params of [{ exact: true }, { recall: 0.9 }]) {
      await using one = await new NearestNeighbors({ k: 5, ...params }).fit(many)
      await using three = await new NearestNeighbors({ k: 5, ...params, numPartitions: 3 }).fit(many)
      expect(tableToIPC(await three.transform(asked))).toEqual(tableToIPC(await one.transform(asked)))
      expect(three.partitionSummaries().numRows).toBe(3)
    }
  })

  test.each([false, true])('exactly the nearest of those a query sees, excludeSelf %s', async (excludeSelf) => {
    const params = { k: 6, partitionCol: 'key', queryPartitionsCol: 'sees', excludeSelf }
    await using model = await new BruteForce(params).fit(items)
    const answer = neighborsOf(await model.transform(tableToIPC(queries)))
    for (let q = 0; q < numQueries; q++) {
      const seen = Array.from({ length: rows }, (_, i) => i).filter(
        (i) => sees(q).includes(key(i)) && !(excludeSelf && i === q),
      )
      const distances = seen.map((i) => trueDistance('l2', row(q), row(i))).sort((a, b) => a - b)
      expect(answer[q]!.ids).toHaveLength(6)
      for (const [at, id] of answer[q]!.ids.entries()) {
        expect(seen).toContain(id)
        expect(answer[q]!.distances[at]).toBeCloseTo(distances[at]!, 5)
      }
    }
  })
})
