// Models of earlier versions are read as they were.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { NearestNeighborsModel } from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'

test('format 1', async () => {
  const path = fileURLToPath(new URL('../golden/model-v1-cosine-k2-partitions', import.meta.url))
  await using model = await NearestNeighborsModel.load(path)
  const query = arrowTable({ vector: ['floats', [[0.011, 0.2341]]] })
  const [{ ids, distances }] = neighborsOf(await model.transform(query)) as [{ ids: unknown[]; distances: number[] }]
  expect(ids).toEqual(['a', 'c'])
  expect(distances[1]).toBeCloseTo(0.06521261, 6)
  expect(
    model
      .partitionSummaries()
      .toArray()
      .map(({ partition, size }) => [partition, Number(size)]),
  ).toEqual([
    [1, 2],
    [2, 1],
  ])
  expect(model.params).toMatchObject({ k: 2, metric: 'cosine', threads: 2 })
})
