// map in worker threads, as built: Node 20 cannot start one from TypeScript.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Bool, Field, Int32, Schema, type Table, Utf8 } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/run.ts'

const dist = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
const module = new URL('../fixtures/worker-functions.mjs', import.meta.url)
const schema = new Schema([new Field('x', new Int32(), false)])
const directory = temporaryDirectory()

let nigh: typeof import('../../src/index.ts')
beforeAll(async () => {
  if (!existsSync(dist)) throw new Error('dist/ is not built: npm run build')
  nigh = await import(dist)
})

/** Tables of a row each, in two partitions. */
const numbers = (count: number) =>
  nigh.fromRows(
    Array.from({ length: count }, (_, x) => ({ x })),
    schema,
    { numPartitions: 2, maxRecordsPerTable: 1 },
  )
const xs = (table: Table) => [...table.getChild('x')!]
const workers = () =>
  process.getActiveResourcesInfo().filter((name) => name === 'MessagePort' || name === 'Worker').length

async function leavesNone(work: () => Promise<unknown>): Promise<void> {
  const before = workers()
  await work()
  await new Promise((resolve) => setImmediate(resolve))
  expect(workers()).toBe(before)
}

test('tables are made in several threads and come out in order', () =>
  leavesNone(async () => {
    const rows = await numbers(20).map(nigh.workerFunction(module, 'doubled'), { workers: 2 }).toRows()
    expect(rows.map(({ x }) => x)).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i))
    expect(new Set(rows.map(({ thread }) => thread)).size).toBe(2)
  }))

test('a slow table holds up those after it, not their order', async () => {
  const dataset = numbers(8).map({ module: fileURLToPath(module), export: 'slowFirst' }, { workers: 3 })
  expect((await dataset.toRows()).map(({ x }) => x)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  await using partitions = await dataset.partitions()
  const found = []
  for await (const table of partitions.at(1)!) found.push(...xs(table))
  expect(found).toEqual([4, 5, 6, 7])
})

test('no more than two tables are with a worker', () =>
  leavesNone(async () => {
    const dir = join(directory, 'held')
    mkdirSync(dir)
    const fields = [new Field('x', new Int32()), new Field('dir', new Utf8()), new Field('hold', new Bool())]
    let asked = 0
    function* tables() {
      for (let x = 0; x < 50; x++) {
        asked++
        yield nigh.tableFromRows([{ x, dir, hold: true }], new Schema(fields))
      }
    }
    const mapped = nigh.fromIterable(tables).map(nigh.workerFunction(module, 'leavesTraces'), { workers: 2 })
    const reading = mapped.tables()
    const first = reading.next()
    while (readdirSync(dir).length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(asked).toBe(4)
    expect(readdirSync(dir).sort()).toEqual(['0', '1'])
    writeFileSync(join(dir, 'go'), '')
    await first
    // One came out, nothing asks for the next: the window is not filled again.
    expect(asked).toBe(4)
    await reading.next()
    expect(asked).toBe(5)
    await reading.return()
  }))

test('an error names the partition and ends the workers', () =>
  leavesNone(async () => {
    const failing = numbers(8).map(nigh.workerFunction(module, 'failsAt5'), { workers: 2 })
    const found: number[] = []
    const reading = (async () => {
      for await (const table of failing) found.push(...xs(table))
    })()
    await expect(reading).rejects.toMatchObject({
      name: 'NighError',
      code: 'FUNCTION_FAILED',
      message: 'map, partition 1 (table 1): five',
      cause: expect.objectContaining({ name: 'RangeError', stack: expect.stringContaining('worker-functions.mjs') }),
    })
    expect(found).toEqual([0, 1, 2, 3, 4].slice(0, found.length))
  }))

test.each([
  ['noTable', 'the function gave 5, not a table'],
  ['exits', 'exit status 3'],
  ['throwsText', 'map, partition 0 (table 0): text'],
  ['missing', 'exports no function named "missing"'],
  ['notAFunction', 'exports no function named "notAFunction"'],
])('%s: %s', (name, message) =>
  leavesNone(async () => {
    const failing = numbers(4).map(nigh.workerFunction(module, name), { workers: 2 })
    await expect(failing.count()).rejects.toMatchObject({
      code: 'FUNCTION_FAILED',
      message: expect.stringContaining(message),
    })
  }),
)

test('a module that is not there', async () => {
  const failing = numbers(4).map(nigh.workerFunction(join(directory, 'none.mjs'), 'x'), { workers: 1 })
  await expect(failing.count()).rejects.toThrow('none.mjs')
})

test('a signal ends workers that never would', () =>
  leavesNone(async () => {
    const controller = new AbortController()
    const endless = numbers(4).map(nigh.workerFunction(module, 'neverEnds'), { workers: 2 })
    const reading = endless.count({ signal: controller.signal })
    setTimeout(() => controller.abort(), 100)
    await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' })
  }))

test('leaving the loop ends the workers', () =>
  leavesNone(async () => {
    for await (const table of numbers(8).map(nigh.workerFunction(module, 'doubled'), { workers: 2 })) {
      expect(xs(table)).toEqual([0])
      break
    }
  }))

test('tables with dictionaries, and the schema told before', async () => {
  const texts = numbers(3).map(nigh.workerFunction(module, 'texts'), { workers: 2 })
  expect((await texts.toRows()).map(({ t }) => t)).toEqual(['a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'a'])
  const told = new Schema([new Field('x', new Int32()), new Field('thread', new Int32())])
  const dataset = numbers(3).map(nigh.workerFunction(module, 'doubled'), { workers: 1, schema: told })
  expect((await dataset.schema()).names).toEqual(['x', 'thread'])
})

test('tables of a file', async () => {
  const path = join(directory, 'numbers.parquet')
  await numbers(100).write(path)
  const dataset = await nigh.readTable(path, { maxRecordsPerTable: 9 })
  const rows = await dataset.map(nigh.workerFunction(module, 'doubled'), { workers: 2 }).toRows()
  expect(rows.map(({ x }) => x)).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i))
})

test('the number of workers', () => {
  expect(() => numbers(1).map(nigh.workerFunction(module, 'doubled'), { workers: 0 })).toThrow('workers: must be')
})
