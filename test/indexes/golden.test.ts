// Indexes of earlier versions are read as they were.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { KeptIndex, openIndex } from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'

test.each([
  ['1-flat', 'flat', 3.8463986],
  ['1-cluster', 'cluster', 3.8463986],
  ['1-hnsw', 'hnsw', 0.17268732],
  ['1-forest', 'forest', 3.8463986],
  ['1-lsh', 'lsh', 3.8463986],
  ['2-cluster-int4', 'cluster', 3.8463986],
  ['2-cluster-bit1', 'cluster', 3.8463986],
])('format %s', async (name, kind, third) => {
  const path = fileURLToPath(new URL(`../golden/index-v${name}`, import.meta.url))
  await KeptIndex.verify(path)
  await using index = await openIndex(path, { k: 3 })
  expect(index).toMatchObject({ kind, numItems: 59, dim: 4, idCol: 'id' })
  const query = arrowTable({
    vector: ['floats', [[3.6321282386779785, 3.1762051582336426, 3.3585190773010254, 2.425072193145752]]],
  })
  const [{ ids, distances }] = neighborsOf((await index.search(query, { effort: { recall: 0.9 } })).table()) as [
    { ids: unknown[]; distances: number[] },
  ]
  expect(ids).toEqual(['i8', 'i9', 'i30'])
  expect(distances[2]).toBeCloseTo(third, 5)
  expect((await index.get(['i3', 'i4'])).numRows).toBe(1)
  const french = await index.search(query, { filter: "country = 'FR'", columns: ['country'] })
  expect(neighborsOf(french.table())[0]!.ids).toEqual(['i9', 'i30', expect.any(String)])
})
