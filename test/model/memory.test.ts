// Answers larger than the memory of a model: they go to their file as they come.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, Int32, makeData, Schema, Table, Vector } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { fromTables, readTable } from '../../src/index.ts'
import { randomVectors } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const [dim, k, numQueries, numItems] = [8, 400, 60_000, 2000]
const MEGABYTE = 1e6
const BUDGET = 100 * MEGABYTE
/** Beyond the budget: 100 for the process with all of the library, and batches on their way to the file. */
const ALLOWED = 180 * MEGABYTE

function table(rows: number, seed: number): Table {
  const type = new FixedSizeList(dim, new Field('item', new Float32(), false))
  const numbers = makeData({ type: new Float32(), data: randomVectors(rows, dim, seed) })
  const column = (value: (row: number) => number) =>
    new Vector([makeData({ type: new Int32(), data: Int32Array.from({ length: rows }, (_, row) => value(row)) })])
  const vector = new Vector([makeData({ type, length: rows, nullCount: 0, child: numbers })])
  const fields = ['id', 'part'].map((name) => new Field(name, new Int32(), false))
  const schema = new Schema([...fields, new Field('vector', type, false)])
  return new Table(schema, { id: column((row) => row), part: column((row) => row % 4), vector })
}

beforeAll(async () => {
  await fromTables([table(numItems, 1)]).write(at('items.parquet'))
  await fromTables([table(numQueries, 2)]).write(at('queries.parquet'))
  await fromTables([table(20_000, 3)]).write(at('self.parquet'))
})

/** What the work on a model takes in a process of its own: its peak, in bytes. */
function peakOf(options: object, items: string, work: string): number {
  const script = `
    import { readFileSync, rmSync } from 'node:fs'
    import { BruteForce } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}
    const [items, queries, out] = process.argv.slice(1)
    rmSync(out, { force: true })
    const model = await new BruteForce(${JSON.stringify({ ...options, numThreads: 2 })}).fit(items)
    await ${work}
    console.log(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1] * 1024)`
  const args = ['--input-type=module', '-e', script, at(items), at('queries.parquet'), at('out.parquet')]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

const transform = `model.transformTo(out, queries)`
const joinSelf = `model.joinSelf({ to: out })`

test.each([
  ['one index', {}, 'items.parquet', transform, numQueries],
  ['without the own id', { excludeSelf: true }, 'items.parquet', transform, numQueries],
  ['partitions', { partitionCol: 'part', queryPartitionsCol: 'part' }, 'items.parquet', transform, numQueries],
  ['partitions, all seen', { partitionCol: 'part' }, 'items.parquet', transform, numQueries],
  ['a self join', { memory: 2 * BUDGET }, 'self.parquet', joinSelf, 20_000],
  ['a self join of partitions', { memory: 2 * BUDGET, partitionCol: 'part' }, 'self.parquet', joinSelf, 20_000],
])('%s', { timeout: 180_000 }, async (_, options, items, work, rows) => {
  const asked = { k, memory: BUDGET, ...options }
  expect(peakOf(asked, items, work)).toBeLessThan(asked.memory + ALLOWED)
  expect(await (await readTable(at('out.parquet'))).count()).toBe(rows)
})

test('the neighbors alone would not fit', () => {
  // Each with its row and its distance, from the search and on the way out.
  expect(2 * numQueries * k * 8).toBeGreaterThan(BUDGET + ALLOWED)
})
