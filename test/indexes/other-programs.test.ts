// Files of Annoy and hnswlib: theirs are searched here, and ours there.
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { beforeAll, describe, expect, test } from 'vitest'
import { Forest, Hnsw, importIndex, type KeptIndex, type Metric } from '../../src/index.ts'
import { neighborsOf } from '../support/arrow.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'

const DIM = 16
const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

interface Made {
  vectors: number[][]
  answers: [number[], number[]][]
}

const made = (name: string): Made => JSON.parse(readFileSync(at(name), 'utf8'))
const flat = (vectors: readonly number[][]) => Float32Array.from(vectors.flat())

/** The ten nearest to each vector, as ids and distances. */
async function answersOf(index: KeptIndex, vectors: readonly number[][], effort: number) {
  const bits = index.metric === 'hamming'
  const queries = bits ? bitsTable(vectors) : { vectors: flat(vectors), dim: DIM }
  return neighborsOf((await index.search(queries, { k: 10, effort, queryColumns: [] })).table())
}

/** Vectors of zeros and ones as booleans. */
function bitsTable(vectors: readonly number[][]) {
  return tableFromIPC(runPythonBits(vectors))
}

function runPythonBits(vectors: readonly number[][]): Uint8Array {
  writeFileSync(at('bits.json'), JSON.stringify(vectors))
  runPython('bits_table.py', at('bits.json'), at('bits.arrow'))
  return readFileSync(at('bits.arrow'))
}

describe('Annoy', () => {
  beforeAll(() => void runPython('annoy_files.py', 'make', directory))

  const metrics: [string, Metric][] = [
    ['angular', 'cosine'],
    ['euclidean', 'l2'],
    ['manhattan', 'l1'],
    ['dot', 'dot'],
    ['hamming', 'hamming'],
  ]
  /** What Annoy calls a distance, as nigh's. */
  const ours = (metric: Metric, distance: number) =>
    metric === 'cosine' ? distance ** 2 / 2 : metric === 'dot' ? 1 - distance : distance

  test.each(metrics)('%s: its file is searched as Annoy searches it', async (annoy, metric) => {
    const { vectors, answers } = made(`${annoy}.json`)
    await using index = await importIndex(at(`${annoy}.ann`), { format: 'annoy', metric, dim: DIM })
    expect(index.numItems).toBe(400)
    const found = await answersOf(index, vectors.slice(0, 20), 100_000)
    found.forEach(({ ids, distances }, row) => {
      const [theirIds, theirs] = answers[row]!
      distances.forEach((distance, i) => {
        expect(distance).toBeCloseTo(ours(metric, theirs[i]!), 4)
      })
      if (metric === 'l2' || metric === 'l1') expect(ids).toEqual(theirIds)
    })
  })

  test.each(metrics)('%s: our file is searched by Annoy', async (annoy, metric) => {
    const { vectors } = made(`${annoy}.json`)
    const items = metric === 'hamming' ? bitsTable(vectors) : { vectors: flat(vectors), dim: DIM }
    await using index = await new Forest({ metric, numTrees: 7 }).fit(items)
    const path = at(`${annoy}-ours.ann`)
    const { ids } = await index.export('annoy', path)
    expect(tableFromIPC(readFileSync(ids!)).numRows).toBe(400)
    const asked = Array.from({ length: 20 }, (_, i) => `${i}`)
    const theirs = JSON.parse(runPython('annoy_files.py', 'ask', path, annoy, `${DIM}`, ...asked))
    expect(theirs).toMatchObject({ items: 400, trees: 7 })
    const found = await answersOf(index, vectors.slice(0, 20), 100_000)
    found.forEach(({ distances }, row) => {
      const expected = (theirs.answers[row] as [number[], number[]])[1].map((distance) => ours(metric, distance))
      distances.forEach((distance, i) => {
        expect(distance).toBeCloseTo(expected[i]!, 4)
      })
    })
    await index.delete([3])
    await expect(index.export('annoy', at('other.ann'))).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  test.each(metrics)('%s: ids with holes come in with their trees and go out again', async (annoy, metric) => {
    for (const count of [1, 2, 10, 1000]) {
      runPython('annoy_files.py', 'holes', directory, annoy, `${count}`)
      const { vectors, answers } = made(`${annoy}-${count}.json`)
      const source = at(`${annoy}-${count}.ann`)
      await using index = await importIndex(source, { format: 'annoy', metric, dim: DIM })
      expect(index.numItems).toBe(count)
      const path = at(`${annoy}-${count}-again.ann`)
      expect(await index.export('annoy', path, { byId: true })).toEqual({ ids: undefined })
      const [theirs, again] = [readFileSync(source), readFileSync(path)]
      if (count === 1000 && metric === 'l2') {
        // Splits are the same bytes; of leaves, what is behind their ids may differ.
        expect(again.length).toBe(theirs.length)
        expect(again.subarray(-3 * (16 + 4 * DIM))).toEqual(theirs.subarray(-3 * (16 + 4 * DIM)))
      }
      const asked = vectors.map((_, row) => `${100_000 + 2 * row}`)
      const out = JSON.parse(runPython('annoy_files.py', 'ask', path, annoy, `${DIM}`, ...asked))
      expect(out.items).toBe(100_000 + 2 * count - 1)
      // Annoy takes trees that are a root alone for more than they are, in its own files, too: these and their copies stand in one row.
      if (count === 1000) expect(out.trees).toBe(3)
      const found = await answersOf(index, vectors, 100_000)
      found.forEach(({ ids, distances }, row) => {
        const [, expected] = answers[row]!
        expect(ids.every((id) => Number(id) >= 100_000 && Number(id) % 2 === 0)).toBe(true)
        for (const some of [distances, out.answers[row][1].map((d: number) => ours(metric, d))]) {
          expect(some.length).toBe(expected.length)
          some.forEach((distance: number, i: number) => {
            expect(distance).toBeCloseTo(ours(metric, expected[i]!), 4)
          })
        }
      })
    }
  })

  test('what is no such file is told', async () => {
    const options = { format: 'annoy', metric: 'l2', dim: DIM } as const
    await expect(importIndex(at('none.ann'), options)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    writeFileSync(at('cut.ann'), readFileSync(at('euclidean.ann')))
    truncateSync(at('cut.ann'), 40_000)
    await expect(importIndex(at('cut.ann'), options)).rejects.toMatchObject({ code: 'CORRUPT_INDEX' })
    await expect(importIndex(at('euclidean.ann'), { ...options, dim: 7 })).rejects.toMatchObject({
      code: 'CORRUPT_INDEX',
    })
  })
})

describe('hnswlib', () => {
  beforeAll(() => void runPython('hnswlib_files.py', 'make', directory))

  const spaces: [string, Metric][] = [
    ['l2', 'squared-l2'],
    ['ip', 'dot'],
    ['cosine', 'cosine'],
  ]

  test.each(spaces)('%s: its file is searched here', async (space, metric) => {
    const { vectors, answers } = made(`${space}.json`)
    const [labels, distances] = answers as unknown as [number[][], number[][]]
    await using index = await importIndex(at(`${space}.bin`), { format: 'hnswlib', metric, dim: DIM })
    expect(index.numItems).toBe(499)
    const found = await answersOf(index, vectors.slice(0, 20), 200)
    found.forEach((one, row) => {
      one.distances.forEach((distance, i) => {
        expect(distance).toBeCloseTo(distances[row]![i]!, 3)
      })
      expect(one.ids.filter((id) => labels[row]!.includes(id as number)).length).toBeGreaterThanOrEqual(9)
      expect(one.ids).not.toContain(1003)
    })
  })

  test.each(spaces)('%s: our file is searched by hnswlib', async (space, metric) => {
    const { vectors } = made(`${space}.json`)
    const ids = vectors.map((_, i) => 70_000 + i)
    await using index = await new Hnsw({ metric, m: 8 }).fit({ ids, vectors: flat(vectors), dim: DIM })
    await index.delete([70_004])
    const path = at(`${space}-ours.bin`)
    expect(await index.export('hnswlib', path)).toEqual({ ids: undefined })
    writeFileSync(at('asking.json'), JSON.stringify(vectors.slice(0, 20)))
    const theirs = JSON.parse(runPython('hnswlib_files.py', 'ask', path, space, `${DIM}`, at('asking.json')))
    expect(theirs.items).toBe(500)
    const found = await answersOf(index, vectors.slice(0, 20), 200)
    const [labels, distances] = theirs.answers as [number[][], number[][]]
    found.forEach((one, row) => {
      one.distances.forEach((distance, i) => {
        expect(distance).toBeCloseTo(distances[row]![i]!, 3)
      })
      expect(labels[row]).not.toContain(70_004)
      expect(one.ids).not.toContain(70_004)
    })
  })

  test('what is no such file is told', async () => {
    writeFileSync(at('cut.bin'), readFileSync(at('l2.bin')))
    truncateSync(at('cut.bin'), 30_000)
    const options = { format: 'hnswlib', metric: 'l2', dim: DIM } as const
    await expect(importIndex(at('cut.bin'), options)).rejects.toMatchObject({ code: 'CORRUPT_INDEX' })
    await expect(importIndex(at('l2.bin'), { ...options, dim: 7 })).rejects.toMatchObject({
      code: 'DIMENSION_MISMATCH',
    })
  })
})
