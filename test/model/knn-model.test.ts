// What users of Spark's kNN packages rely on, held for both estimators.
import { describe, expect, test } from 'vitest'
import { BruteForce, NearestNeighbors } from '../../src/index.ts'
import { arrowTable, neighborsOf, types } from '../support/arrow.ts'
import { randomVectors, trueDistance } from '../support/oracle.ts'

const vectors = [
  [0.011, 0.2341],
  [0.23, 0.3891],
  [0.43, 0.9891],
]

describe.each([
  ['BruteForce', BruteForce],
  ['NearestNeighbors', NearestNeighbors],
] as const)('%s', (_, Estimator) => {
  const points = (floats: 'floats' | 'doubles' = 'floats') =>
    arrowTable({ id: ['long', [1n, 2n, 3n]], vector: [floats, vectors] })

  test.each(['floats', 'doubles'] as const)('cosine neighbors of three points, vectors as %s', async (floats) => {
    const items = points(floats)
    await using model = await new Estimator({ metric: 'cosine', k: 10 }).fit(items)
    const answer = neighborsOf(await model.transform(items))
    expect(answer.map(({ ids }) => ids)).toEqual([
      [1, 3, 2],
      [2, 3, 1],
      [3, 2, 1],
    ])
    const [own, third, second] = answer[0]!.distances
    expect(own).toBeCloseTo(0, 6)
    expect(third).toBeCloseTo(0.06521261, 6)
    expect(second).toBeCloseTo(0.11621308, 6)
  })

  test.each([
    ['long', [1n, 2n, 3n]],
    ['int', [7, -8, 9]],
    ['string', ['a', 'bcd', '']],
  ] as const)('ids of type %s come back as they are', async (type, ids) => {
    const items = arrowTable({ id: [type, ids], vector: ['floats', vectors] })
    await using model = await new Estimator({ metric: 'cosine', k: 1 }).fit(items)
    const table = await model.transform(items)
    const list = table.schema.fields.find(({ name }) => name === 'neighbors')!.type
    expect(list.children[0]!.type.children[0]!.type.toString()).toBe(types[type]().toString())
    expect([...table.getChild('neighbors')!].map((row) => row.get(0).neighbor)).toEqual([...ids])
  })

  test('every column of the queries stays, in order; the answer is one more', async () => {
    const queries = arrowTable({
      price: ['doubles', [[1, 2], [], null]],
      vector: ['doubles', vectors],
      name: ['string', ['x', null, 'z']],
    })
    await using model = await new Estimator({ k: 2, predictionCol: 'near' }).fit(points())
    const table = await model.transform(queries)
    expect(table.schema.names).toEqual(['price', 'vector', 'name', 'near'])
    expect(table.select(['price', 'vector', 'name']).toArray().map(String)).toEqual(queries.toArray().map(String))
    expect(String(table.schema.fields[1]!.type)).toBe(String(types.doubles()))
    expect(neighborsOf(table, 'near').map(({ ids }) => ids[0])).toEqual([1, 2, 3])
  })

  test('minimal: ids and neighbors alone', async () => {
    const queries = arrowTable({
      key: ['string', ['a', 'b', 'c']],
      other: ['int', [1, 2, 3]],
      vector: ['floats', vectors],
    })
    await using model = await new Estimator({ k: 1, outputFormat: 'minimal', queryIdCol: 'key' }).fit(points())
    const table = await model.transform(queries)
    expect(table.schema.names).toEqual(['key', 'neighbors'])
    expect([...table.getChild('key')!]).toEqual(['a', 'b', 'c'])
  })

  test('an output column that is there is an error that names it', async () => {
    const queries = arrowTable({ vector: ['floats', vectors], near: ['int', [1, 2, 3]] })
    await using model = await new Estimator({ predictionCol: 'near' }).fit(points())
    await expect(model.transform(queries)).rejects.toMatchObject({
      code: 'COLUMN_CONFLICT',
      message: expect.stringContaining('"near"'),
    })
    await using minimal = await new Estimator({ outputFormat: 'minimal', idCol: 'id', predictionCol: 'id' }).fit(
      points(),
    )
    await expect(minimal.transform(points())).rejects.toMatchObject({ code: 'COLUMN_CONFLICT' })
  })

  test('excludeSelf leaves out the id, not the distance 0', async () => {
    const items = arrowTable({
      id: ['string', ['a', 'b', 'c', 'a']],
      vector: ['floats', [[0], [0], [1], [0.5]]],
    })
    await using model = await new Estimator({ k: 3, excludeSelf: true }).fit(items)
    const queries = arrowTable({ id: ['string', ['a', 'b', 'x']], vector: ['floats', [[0], [0], [0]]] })
    expect(neighborsOf(await model.transform(queries)).map(({ ids }) => ids)).toEqual([
      ['b', 'c'],
      ['a', 'a', 'c'],
      ['a', 'b', 'a'],
    ])
    const numbered = arrowTable({ id: ['int', [1]], vector: ['floats', [[0]]] })
    await expect(model.transform(numbered)).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringMatching(/Int32.*Utf8/),
    })
    const nameless = arrowTable({ vector: ['floats', [[0]]] })
    await expect(model.transform(nameless)).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
  })

  test('fewer items than k, or within the distance: fewer neighbors, never fillers', async () => {
    await using model = await new Estimator({ k: 5, maxDistance: 0.7 }).fit(points())
    const answer = neighborsOf(await model.transform(points()))
    expect(answer.map(({ ids }) => ids)).toEqual([
      [1, 2],
      [2, 1, 3],
      [3, 2],
    ])
    await using empty = await new Estimator({ k: 5 }).fit(arrowTable({ id: ['int', []], vector: ['floats', []] }))
    expect(neighborsOf(await empty.transform(points()))[0]!.ids).toEqual([])
  })

  test('parts of the items lose no candidate', async () => {
    const items = arrowTable({ id: ['int', [10, 20, 5, 15]], vector: ['floats', [[0.1], [0.2], [0.05], [0.15]]] })
    const query = arrowTable({ vector: ['floats', [[0]]] })
    await using model = await new Estimator({ k: 2, numPartitions: 2 }).fit(items)
    expect(neighborsOf(await model.transform(query))[0]!.ids).toEqual([5, 10])
    expect(
      model
        .partitionSummaries()
        .toArray()
        .map(({ partition, size }) => [partition, Number(size)]),
    ).toEqual([
      [0, 2],
      [1, 2],
    ])
  })

  test('wide rows', { timeout: 120_000 }, async () => {
    const [rows, dim] = [4000, 3000]
    const items = { ids: Array.from({ length: rows }, (_, i) => i), vectors: randomVectors(rows, dim, 5), dim }
    const row = (i: number) => items.vectors.subarray(i * dim, i * dim + dim)
    await using model = await new Estimator({ k: 2 }).fit(items)
    const answer = neighborsOf(await model.transform(items))
    expect(answer.map(({ ids }) => ids[0])).toEqual(items.ids)
    for (const query of [0, 1999, 3999]) {
      const distances = items.ids.map((i) => trueDistance('l2', row(query), row(i))).sort((a, b) => a - b)
      expect(answer[query]!.distances[1]! / distances[1]!).toBeCloseTo(1, 5)
    }
  })
})
