// A dataset wherever a table is asked for: of files, of several tables, filtered, and without a row.
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, Int32, Schema, type Table, Utf8 } from 'apache-arrow'
import { expect, test } from 'vitest'
import {
  type ArrowDataset,
  BruteForce,
  evaluate,
  fromRows,
  fromTables,
  inspectTable,
  KnnEvaluator,
  knnJoin,
  Normalizer,
  Pipeline,
  readTable,
  selfJoin,
  tableToRows,
} from '../../src/index.ts'
import { readRows, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const schema = new Schema([
  new Field('id', new Int32(), false),
  new Field('kind', new Utf8(), true),
  new Field('vector', new FixedSizeList(2, new Field('element', new Float32(), false)), false),
])
const rowsOf = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: from + i,
    kind: (from + i) % 4 === 0 ? null : 'ab'[i % 2]!,
    vector: [Math.cos(from + i), Math.sin(2 * (from + i))],
  }))
const whole = await fromRows(rowsOf(0, 90), schema).toTable()
const file = join(directory, 'items.parquet')
await fromRows(rowsOf(0, 90), schema).write(file)

const datasets: [string, () => Promise<ArrowDataset>][] = [
  ['a file', () => readTable(file)],
  ['a file in small tables', () => readTable(file, { maxRecordsPerTable: 7 })],
  ['several partitions', async () => fromRows(rowsOf(0, 90), schema, { numPartitions: 4 })],
  ['tables made by a function', async () => (await readTable(file)).map((table) => table)],
]
const ipc = (result: { ipc?: Uint8Array | undefined }) => readRows(result.ipc!)
const options = { k: 3, seed: 1 }

test.each(datasets)('joins, judged and inspected: %s', async (_, make) => {
  const dataset = await make()
  const expected = ipc(await knnJoin(whole, whole, options))
  expect(expected).toHaveLength(90)
  const result = await knnJoin(dataset, dataset, options)
  expect(ipc(result)).toEqual(expected)
  expect(ipc(await selfJoin(dataset, options))).toEqual(ipc(await selfJoin(whole, options)))
  const found = fromTables(result.table().batches)
  const cut = fromTables([result.table().slice(0, 40), result.table().slice(40)])
  for (const neighbors of [found, cut]) {
    const judged = await evaluate(neighbors, dataset, dataset, { k: 3 })
    expect(judged).toMatchObject({ recall: { estimate: 1 }, wrongDistances: 0, rows: { result: 90, items: 90 } })
  }
  const { rows, vectors, files } = await inspectTable(dataset)
  expect({ rows, files: files.length, dim: vectors[0]!.dim }).toEqual({ rows: 90, files: 1, dim: 2 })
})

test.each(datasets)('stages and models: %s', async (_, make) => {
  const dataset = await make()
  const plain = (table: Table) => tableToRows(table)
  const normalizer = new Normalizer({ outputCol: 'unit' })
  expect(plain(await normalizer.transform(dataset))).toEqual(plain(await normalizer.transform(whole)))
  const pipeline = new Pipeline({ stages: [normalizer, new BruteForce({ featuresCol: 'unit', k: 3 })] })
  await using expected = await pipeline.fit(whole)
  await using model = await pipeline.fit(dataset)
  const answer = await model.transform(dataset)
  expect(plain(answer)).toEqual(plain(await expected.transform(whole)))
  const twice = fromTables([answer.slice(0, 30), answer.slice(30)])
  const evaluator = new KnnEvaluator({ approximateNeighborsCol: 'neighbors', exactNeighborsCol: 'neighbors' })
  expect(await evaluator.evaluate(twice)).toBe(1)
})

test('what a filter leaves, and nothing', async () => {
  const dataset = await readTable(file)
  const some = ipc(await selfJoin(dataset.filter("kind = 'a'"), options))
  expect(some.map(({ id }) => id)).toEqual(rowsOf(0, 90).flatMap(({ id, kind }) => (kind === 'a' ? [id] : [])))
  for (const none of [dataset.filter('id < 0'), fromRows([], schema)]) {
    expect(ipc(await knnJoin(none, dataset, options))).toEqual([])
    for (const empty of [none, await none.toTable()]) {
      const made = await new Normalizer().transform(empty)
      expect([made.numRows, made.schema.names]).toEqual([0, ['id', 'kind', 'vector', 'normalized']])
    }
  }
})

test('an aborted signal ends the reading of a dataset', async () => {
  const dataset = await readTable(file, { maxRecordsPerTable: 5 })
  const controller = new AbortController()
  let seen = 0
  const slow = dataset.map((table) => {
    if (++seen === 3) controller.abort()
    return table
  })
  await expect(knnJoin(slow, slow, { ...options, signal: controller.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  })
  expect(seen).toBe(3)
})
