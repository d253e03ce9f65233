// What every kind of index has to hold, from TypeScript: answers, filters, growing, shrinking, and the files.
import { cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Table as ArrowTable,
  Field,
  FixedSizeList,
  Float32,
  makeData,
  type Table,
  tableToIPC,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { KeptIndex, openIndex } from '../../src/index.ts'
import type { Metric } from '../../src/native.ts'
import { neighborsOf, types } from '../support/arrow.ts'
import { nearestRows, randomVectors, rowOf } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'
import { kinds } from './kinds.ts'

const DIM = 12
const directory = temporaryDirectory()
const countries = ['FR', 'DE', 'IT', 'ES']

/** Items with a country and a price; ids are strings, so that no row number passes for one. */
function itemsOf(vectors: Float32Array, first = 0): Table {
  const length = vectors.length / DIM
  const type = new FixedSizeList(DIM, new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: vectors })
  const row = (make: (i: number) => unknown) => Array.from({ length }, (_, i) => make(first + i))
  return new ArrowTable({
    id: vectorFromArray(
      row((i) => `i${i}`),
      types.string(),
    ),
    vector: new Vector([makeData({ type, child, length, nullCount: 0 })]),
    country: vectorFromArray(
      row((i) => countries[i % 4]),
      types.string(),
    ),
    price: vectorFromArray(
      row((i) => i % 100),
      types.int(),
    ),
  })
}

const idsOf = (table: Table) => neighborsOf(table).map(({ ids }) => ids.map((id) => Number(String(id).slice(1))))

/** The part of the true neighbors' places that were filled with neighbors as near. */
function recallOf(
  metric: Metric,
  answer: Table,
  queries: Float32Array,
  items: Float32Array,
  rows: readonly number[],
  k = 10,
) {
  const kept = new Float32Array(rows.length * DIM)
  rows.forEach((row, i) => {
    kept.set(rowOf(items, DIM, row), i * DIM)
  })
  const found = neighborsOf(answer)
  let filled = 0
  let places = 0
  for (const [q, { distances }] of found.entries()) {
    const truth = nearestRows(metric, rowOf(queries, DIM, q), kept, k)
    const farthest = truth.at(-1)?.distance ?? 0
    const limit = farthest + 1e-4 * Math.abs(farthest) + 1e-6
    filled += Math.min(truth.length, distances.filter((distance) => distance <= limit).length)
    places += truth.length
  }
  return places === 0 ? 1 : filled / places
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

describe.each(kinds)('$kind', ({ kind, make, metrics }) => {
  // Of one kind: those who ask are distributed as the items are.
  const every = randomVectors(4060, DIM, 1, 0.05)
  const all = every.subarray(0, 4000 * DIM)
  const vectors = every.subarray(0, 3000 * DIM)
  const asking = every.slice(4000 * DIM)
  const queries = { vectors: asking, dim: DIM }
  const [usual] = metrics[0]!

  test.each(metrics)('%s: finds the nearest, at their true distances', async (metric, floor) => {
    await using index = await make({ metric }).fit(itemsOf(vectors))
    const answer = await index.transform(queries)
    expect(answer.schema.fields.map(({ name }) => name)).toEqual(['id', 'neighbors'])
    expect(recallOf(metric as Metric, answer, asking, vectors, range(3000))).toBeGreaterThanOrEqual(floor)
    const [first] = neighborsOf(answer)
    const [nearest] = nearestRows(metric as Metric, rowOf(asking, DIM, 0), vectors, 1)
    expect(first!.distances[0]).toBeCloseTo(nearest!.distance, 4)
    await using alone = await make({ metric, numThreads: 1 }).fit(itemsOf(vectors))
    expect(tableToIPC(await alone.transform(queries))).toEqual(tableToIPC(answer))
  })

  test('filters, a distance, itself left out, columns carried', async () => {
    await using index = await make({}).fit(itemsOf(vectors))
    const answer = await index.search(queries, {
      filter: "country = 'FR' and price < 30",
      columns: ['country', 'price'],
    })
    const rows = range(3000).filter((row) => row % 4 === 0 && row % 100 < 30)
    expect(recallOf(usual as Metric, answer.table(), asking, vectors, rows)).toBeGreaterThanOrEqual(0.9)
    for (const found of answer.table().getChild('neighbors')!) {
      for (const { country, price } of found) expect([country, price < 30]).toEqual(['FR', true])
    }
    await expect(index.search(queries, { filter: 'color = 1' })).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
    // Some rows by number, of two segments.
    await using two = await make({}).fit(itemsOf(vectors.subarray(0, 2003 * DIM)))
    await two.append(itemsOf(vectors.subarray(2003 * DIM, 2503 * DIM), 2003))
    await two.delete(['i3'])
    const bits = new Uint8Array(Math.ceil(2503 / 8)).fill(0b1001_0010)
    for (const ids of idsOf((await two.search(queries, { rows: bits })).table())) {
      expect(ids).toHaveLength(10)
      for (const id of ids) expect([1, 4, 7]).toContain(id % 8)
    }
    await expect(two.search(queries, { rows: bits.subarray(1) })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    const none = await index.search(queries, { filter: 'price > 1000' })
    expect(none.numNeighbors).toBe(0)
    const far = neighborsOf(answer.table())[0]!.distances.at(-1)!
    const near = await index.search(queries, { maxDistance: far / 2, filter: "country = 'FR' and price < 30" })
    for (const { distances } of neighborsOf(near.table())) expect(distances.every((d) => d <= far / 2)).toBe(true)
    const others = await index.search(itemsOf(vectors.subarray(0, 50 * DIM)), { excludeSelf: true, queryColumns: [] })
    idsOf(others.table()).forEach((ids, row) => {
      expect(ids).not.toContain(row)
      expect(ids.length).toBe(10)
    })
  })

  test('what is deleted is never found; what is appended is, as after a new build', async () => {
    await using index = await make({}).fit(itemsOf(all.subarray(0, 3000 * DIM)))
    expect(await index.append(itemsOf(all.subarray(3000 * DIM), 3000))).toEqual({ added: 1000, replaced: 0 })
    // A graph grows; of other kinds there are two segments now.
    expect(index.stats()).toHaveLength(index.kind === 'hnsw' ? 1 : 2)
    expect(recallOf(usual as Metric, await index.transform(queries), asking, all, range(4000))).toBeGreaterThan(0.9)
    const gone = idsOf(await index.transform(queries)).flatMap((ids) => ids.slice(0, 3))
    const { deleted } = await index.delete(gone.map((row) => `i${row}`))
    expect(deleted).toBe(new Set(gone).size)
    expect((await index.delete(['i-1'])).deleted).toBe(0)
    const left = range(4000).filter((row) => !gone.includes(row))
    const check = async () => {
      const answer = await index.transform(queries)
      expect(
        idsOf(answer)
          .flat()
          .filter((row) => gone.includes(row)),
      ).toEqual([])
      expect(recallOf(usual as Metric, answer, asking, all, left)).toBeGreaterThan(0.9)
      expect(index.numItems).toBe(left.length)
    }
    await check()
    await index.compact()
    expect(index.stats()).toMatchObject([{ numRows: left.length, numDeleted: 0 }])
    await check()
    // An item that comes again takes its own place, wherever it is now.
    const moved = new Float32Array(2 * DIM).fill(50)
    expect(await index.append(itemsOf(moved, left[5]!))).toMatchObject({ replaced: left[6] === left[5]! + 1 ? 2 : 1 })
    const [found] = idsOf((await index.search({ vectors: moved.subarray(0, DIM), dim: DIM }, { k: 2 })).table())
    expect(found![0]).toBe(left[5])
  })

  test('an index that loses a third finds what is left as before', async () => {
    await using index = await make({}).fit(itemsOf(all))
    const gone = range(4000).filter((row) => row % 3 === 0)
    expect(await index.delete(gone.map((row) => `i${row}`))).toEqual({ deleted: gone.length })
    // A graph is mended; other kinds leave out what is gone.
    expect(index.stats()[0]).toMatchObject({ numDeleted: index.kind === 'hnsw' ? 0 : gone.length })
    const left = range(4000).filter((row) => row % 3 !== 0)
    const answer = await index.transform(queries)
    for (const ids of idsOf(answer)) for (const id of ids) expect(id % 3).not.toBe(0)
    expect(recallOf(usual as Metric, answer, asking, all, left)).toBeGreaterThan(0.9)
    expect(index.numItems).toBe(left.length)
  })

  test('one vector at a time gives what a table of them does', async () => {
    await using index = await make({}).fit(itemsOf(vectors))
    await index.append(itemsOf(every.subarray(3000 * DIM, 3500 * DIM), 3000))
    await index.delete(['i5', 'i3001'])
    const filter = "country = 'DE'"
    for (const options of [{}, { filter }, { k: 3, filter }]) {
      const answer = await index.search(queries, options)
      for (const [q, { ids, distances }] of neighborsOf(answer.table()).slice(0, 20).entries()) {
        const found = await index.nearest(rowOf(asking, DIM, q).slice(), options)
        expect(found.distances).toEqual(distances)
        expect(found.ids).toEqual(ids)
      }
    }
    const other = await index.nearestTo('i77', { k: 4 })
    expect(other.distances[0]).toBe(0)
    expect(other).toEqual(await index.nearest(rowOf(vectors, DIM, 77).slice(), { k: 4 }))
    await expect(index.nearestTo('i5')).rejects.toMatchObject({ code: 'UNKNOWN_ID' })
    await expect(index.nearest(new Float32Array(DIM - 1))).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
    await expect(index.nearest(new Float32Array(DIM).fill(Number.NaN))).rejects.toMatchObject({
      code: 'INVALID_VECTOR',
    })
  })

  test('get gives rows back with their columns', async () => {
    await using index = await make({}).fit(itemsOf(vectors))
    await index.delete(['i8'])
    const got = await index.get(['i7', 'i8', 'i2999', 'i-1'])
    expect([...got.getChild('id')!]).toEqual(['i7', 'i2999'])
    expect([...got.getChild('price')!]).toEqual([7, 99])
    expect(Float32Array.from(got.getChild('vector')!.get(1))).toEqual(rowOf(vectors, DIM, 2999))
  })

  test('no row, one row, fewer than are asked for; twins and zeros', async () => {
    for (const n of [0, 1, 7]) {
      await using index = await make({}).fit(itemsOf(vectors.subarray(0, n * DIM)))
      expect(idsOf(await index.transform(queries)).map((ids) => ids.length)).toEqual(Array(60).fill(n))
      await index.append(itemsOf(vectors.subarray(100 * DIM, 102 * DIM), 100))
      expect(idsOf(await index.transform(queries))[0]).toHaveLength(Math.min(10, n + 2))
    }
    for (const metric of ['l2', 'cosine'] as const) {
      const same = new Float32Array(50 * DIM).fill(1)
      same.fill(0, 25 * DIM)
      await using index = await make({ metric }).fit(itemsOf(same))
      const [ones] = idsOf((await index.search({ vectors: same.subarray(0, DIM), dim: DIM }, { k: 30 })).table())
      expect(ones).toEqual(range(30))
    }
  })

  test('a kept index answers as the one it was, and changes as a whole', async () => {
    const path = join(directory, `${kind}-kept`)
    await using index = await make({}).fit(itemsOf(vectors))
    await index.delete(['i0', 'i1'])
    await index.tune(0.9)
    const before = tableToIPC(await index.transform(queries))
    await index.save(path)
    await expect((await make({}).fit(itemsOf(vectors))).save(path)).rejects.toMatchObject({ code: 'INDEX_EXISTS' })
    await using opened = await openIndex(path)
    expect(tableToIPC(await opened.transform(queries))).toEqual(before)
    expect(opened.efforts).toEqual(index.efforts)
    await KeptIndex.verify(path)
    // Of two that change it, the second has not seen what the first did.
    await using other = await openIndex(path)
    await opened.append(itemsOf(randomVectors(10, DIM, 9), 5000))
    await opened.save()
    await other.delete(['i5'])
    await expect(other.save()).rejects.toMatchObject({ code: 'INDEX_CHANGED' })
    await using again = await openIndex(path)
    expect(again.numItems).toBe(3008)
    // Those who have it open go on with what they opened.
    expect(idsOf(await other.transform(queries))[0]).toHaveLength(10)
    await again.compact()
    await again.save()
    expect(readdirSync(path).filter((name) => name.startsWith('segment-'))).toHaveLength(1)
    await KeptIndex.verify(path)
  })

  test('every changed byte is noticed', async () => {
    const path = join(directory, `${kind}-good`)
    await using index = await make({}).fit(itemsOf(vectors.subarray(0, 300 * DIM)))
    await index.delete(['i3'])
    await index.save(path)
    const bad = join(directory, `${kind}-bad`)
    for (const name of readdirSync(path)) {
      const bytes = readFileSync(join(path, name))
      const step = Math.max(1, Math.floor(bytes.length / 23))
      for (let at = 0; at < bytes.length; at += step) {
        cpSync(path, bad, { recursive: true })
        const changed = Buffer.from(bytes)
        changed[at]! ^= 4
        writeFileSync(join(bad, name), changed)
        const noticed = KeptIndex.verify(bad)
        await expect(noticed, `${name}, byte ${at}`).rejects.toMatchObject({
          code: expect.stringMatching(/^(CORRUPT_INDEX|NOT_AN_INDEX|INDEX_VERSION)$/),
        })
      }
      cpSync(path, bad, { recursive: true })
      // The manifest's last byte is a line feed, which nobody misses.
      truncateSync(join(bad, name), bytes.length - 2)
      await expect(openIndex(bad), `${name} cut off`).rejects.toMatchObject({ code: 'CORRUPT_INDEX' })
      cpSync(path, bad, { recursive: true })
    }
    expect(existsSync(bad)).toBe(true)
  })
})

test('params are checked, and what cannot be indexed is refused', async () => {
  for (const { make } of kinds) {
    expect(() => make({ metric: 'nearly' as Metric })).toThrow(/metric/)
    expect(() => make({ k: 0 })).toThrow(/k: must/)
    expect(() => make({ effort: { recall: 2 } })).toThrow(/effort/)
    expect(() => make({ lists: 3 } as object)).toThrow(/no such param/)
  }
  await expect(openIndex(join(directory, 'nothing'))).rejects.toMatchObject({ code: 'NOT_AN_INDEX' })
  await using index = await kinds[0]!.make({}).fit(itemsOf(randomVectors(10, DIM, 1)))
  await expect(index.transform({ vectors: new Float32Array(8), dim: 8 })).rejects.toMatchObject({
    code: 'DIMENSION_MISMATCH',
  })
  await expect(index.append({ vectors: new Float32Array(DIM), dim: DIM })).rejects.toMatchObject({
    code: 'COLUMN_NOT_FOUND',
  })
  await expect(index.save()).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})
