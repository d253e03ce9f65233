// Datasets of files, through the addon.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  Int64,
  Schema,
  type Table,
  tableToIPC,
  Utf8,
} from 'apache-arrow'
import { expect, test, vi } from 'vitest'
import {
  type ArrowDataset,
  fromIterable,
  fromRows,
  fromTables,
  readTable,
  tableFromRows,
  tableToRows,
  vectors,
} from '../../src/index.ts'
import { addon, call } from '../../src/native.ts'
import { temporaryDirectory } from '../support/run.ts'
import { allTypes, allTypesRows } from './all-types.ts'

const directory = temporaryDirectory()
let files = 0
const newPath = (extension: string) => join(directory, `${files++}${extension}`)

const schema = new Schema([
  new Field('x', new Int32(), false),
  new Field('name', new Utf8(), true),
  new Field('price', new Float64(), true),
])
const row = (x: number) => ({ x, name: x % 7 === 3 ? null : `n${x % 5}`, price: x / 4 })
const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i))
const xs = (table: Table) => [...table.getChild('x')!]
const byX = (rows: Record<string, unknown>[]) => rows.sort((a, b) => Number(a.x) - Number(b.x))

async function written(dataset: ArrowDataset, extension = '.parquet'): Promise<string> {
  const path = newPath(extension)
  await dataset.write(path)
  return path
}

const numbers = await written(fromRows(rows(0, 1000), schema))

async function sizes(tables: AsyncIterable<Table>): Promise<number[]> {
  const out: number[] = []
  for await (const table of tables) out.push(table.numRows)
  return out
}

test.each(['.parquet', '.arrow'])('%s: rows of every type there and back', async (extension) => {
  const rows = allTypesRows(41)
  const path = await written(fromRows(rows, allTypes, { numPartitions: 3 }), extension)
  const dataset = await readTable(path)
  expect(await dataset.toRows()).toEqual(rows)
  expect((await dataset.schema()).fields.map(String)).toEqual(allTypes.fields.map(String))
})

test('the schema is known before a row is read', async () => {
  const dataset = await readTable(numbers)
  expect((await dataset.schema()).names).toEqual(['x', 'name', 'price'])
  await using partitions = await dataset.partitions()
  expect(partitions.length).toBe(1)
  expect([...partitions][0]!.name).toContain(numbers)
  expect(partitions.bytesRead).toBe(0)
  expect(await dataset.count()).toBe(1000)
  expect(partitions.bytesRead).toBe(0)
})

test('without a limit a table is a partition; with one, tables of so many rows', async () => {
  expect(await sizes((await readTable(numbers)).tables())).toEqual([1000])
  const two = [await written(fromRows(rows(0, 5), schema)), await written(fromRows(rows(5, 10), schema))]
  const all = await readTable(two)
  expect(await all.numPartitions()).toBe(2)
  expect(await sizes(all.tables())).toEqual([5, 5])
  const limited = await readTable(two, { maxRecordsPerTable: 3 })
  expect(await sizes(limited.tables())).toEqual([3, 2, 3, 2])
  expect(await limited.toRows()).toEqual(rows(0, 10))
})

test('a table without rows', async () => {
  for (const extension of ['.parquet', '.arrow']) {
    const dataset = await readTable(await written(fromRows([], schema), extension))
    expect((await dataset.schema()).names).toEqual(['x', 'name', 'price'])
    expect(await dataset.toRows()).toEqual([])
    expect(await dataset.count()).toBe(0)
    expect((await dataset.toTable()).schema.names).toEqual(['x', 'name', 'price'])
  }
})

test('a partition that a filter leaves empty is an empty table', async () => {
  const filtered = (await readTable(numbers)).filter('x % 2 = 2')
  expect(await sizes(filtered.tables())).toEqual([0])
})

test('globs, lists and directories', async () => {
  const dir = newPath('')
  mkdirSync(dir)
  await fromRows(rows(0, 3), schema).write(join(dir, 'a.parquet'))
  await fromRows(rows(3, 5), schema).write(join(dir, 'b.parquet'))
  for (const source of [dir, join(dir, '*.parquet'), [join(dir, 'a.parquet'), join(dir, 'b.parquet')]]) {
    expect(await (await readTable(source)).toRows()).toEqual(rows(0, 5))
  }
})

test('filters in SQL: at the source, after a function, one after another', async () => {
  const expected = rows(0, 1000).filter(({ name, price }) => name === 'n3' && price < 100)
  const all = await readTable(numbers)
  const where = "name = 'n3' and price < 100"
  expect(await all.filter(where).toRows()).toEqual(expected)
  expect(await all.filter("name = 'n3' -- a name").filter('price < 100').toRows()).toEqual(expected)
  expect(await (await readTable(numbers, { filter: where, columns: ['x'] })).toRows()).toEqual(
    expected.map(({ x }) => ({ x })),
  )
  expect(
    await all
      .map((table) => table)
      .filter(where)
      .toRows(),
  ).toEqual(expected)
  expect(await fromRows(rows(0, 1000), schema).filter(where).toRows()).toEqual(expected)
  expect(await all.filter('name is null').count()).toBe(rows(0, 1000).filter(({ name }) => name === null).length)
  expect(await all.filter((table) => xs(table).map((x) => x % 100 === 0)).toRows()).toEqual(
    rows(0, 1000).filter(({ x }) => x % 100 === 0),
  )
})

test('what select left out is not there any more', async () => {
  const all = await readTable(numbers)
  await expect(all.select(['x']).select(['name']).count()).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
  await expect(all.select(['x', 'x']).count()).rejects.toMatchObject({ code: 'COLUMN_CONFLICT' })
  await expect(all.select(['x']).filter("name = 'n1'").count()).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
  expect(await all.select(['price', 'x']).filter('price < 1').select(['x']).toRows()).toEqual(
    [0, 1, 2, 3].map((x) => ({ x })),
  )
  expect(await all.filter("name = 'n1'").select(['x']).take(2).toRows()).toEqual([{ x: 1 }, { x: 6 }])
})

test('filters that are wrong say why', async () => {
  const all = await readTable(numbers)
  await expect(all.filter('y = 1').count()).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
  await expect(all.filter('x = = 1').count()).rejects.toMatchObject({ code: expect.stringMatching(/INVALID|FILTER/) })
  await expect(
    all
      .map((table) => table)
      .filter('y = 1')
      .count(),
  ).rejects.toMatchObject({
    code: 'COLUMN_NOT_FOUND',
    message: expect.stringContaining('filter, partition 0'),
  })
})

/** Many row groups: sorted ids, and vectors that weigh the most. */
const heavyRows = heavy()
async function heavy(): Promise<string> {
  const dim = 64
  const fields = [
    new Field('x', new Int32(), false),
    new Field('v', new FixedSizeList(dim, new Field('item', new Float32(), false)), false),
  ]
  function* tables() {
    for (let first = 0; first < 8000; first += 2000) {
      const part = Array.from({ length: 2000 }, (_, i) => ({
        x: first + i,
        v: Array.from({ length: dim }, (_, at) => Math.sin(first + i * dim + at)),
      }))
      yield tableFromRows(part, new Schema(fields))
    }
  }
  const dir = newPath('')
  mkdirSync(dir)
  let file = 0
  for (const table of tables()) await fromTables([table]).write(join(dir, `${file++}.parquet`))
  return dir
}

test('only the columns and row groups that are needed are read', async () => {
  const path = await heavyRows
  const bytes = async (dataset: ArrowDataset) => {
    await using partitions = await dataset.partitions()
    let rows = 0
    for (const partition of partitions) for await (const table of partition) rows += table.numRows
    return { rows, bytes: partitions.bytesRead }
  }
  const all = await readTable(path)
  const whole = await bytes(all)
  expect(whole.rows).toBe(8000)
  expect(whole.bytes).toBeGreaterThan(8000 * 64 * 3)
  const narrow = await bytes(all.select(['x']))
  expect(narrow.rows).toBe(8000)
  expect(narrow.bytes).toBeLessThan(whole.bytes / 10)
  const few = await bytes(all.filter('x < 5'))
  expect(few.rows).toBe(5)
  expect(few.bytes).toBeLessThan(whole.bytes / 3)
  const both = await bytes(all.select(['x']).filter('x < 5'))
  expect(both.rows).toBe(5)
  expect(both.bytes).toBeLessThan(narrow.bytes)
  const first = await all.take(5).toTable()
  expect(xs(first)).toEqual([0, 1, 2, 3, 4])
})

test('a loop that is left reads no further partition', async () => {
  const all = await readTable(await heavyRows)
  await using partitions = await all.partitions()
  for await (const _ of partitions.at(0)!) break
  const one = partitions.bytesRead
  for (const partition of partitions) for await (const _ of partition);
  expect(one).toBeLessThan(partitions.bytesRead / 4)
})

test('a loop that is left frees its stream, and the table it was at', async () => {
  const native = await call((native, job) => native.openScan([{ path: numbers }], {}, job), {})
  const stream = native.open(0, 1)
  const table = await call((_, job) => stream.next(job), {})
  const freed = [stream, table!].map((one) => vi.spyOn(Object.getPrototypeOf(one), 'dispose'))
  const read = vi.spyOn(Object.getPrototypeOf(stream), 'next')
  for await (const { numRows } of await readTable(numbers, { maxRecordsPerTable: 10 })) {
    expect(numRows).toBe(10)
    break
  }
  expect(read).toHaveBeenCalledTimes(1)
  for (const dispose of freed) expect(dispose).toHaveBeenCalledTimes(1)
  vi.restoreAllMocks()
})

test('the vectors of a file are one array, without a copy', async () => {
  const all = await readTable(await heavyRows)
  for await (const table of all) {
    const { values, dim, numRows } = vectors(table, 'v')
    expect([dim, numRows]).toEqual([64, 2000])
    expect(values.buffer).toBe(table.batches[0]!.data.children[1]!.children[0]!.values.buffer)
    expect(values[65]).toBe(Math.fround(Math.sin(xs(table)[0] + 65)))
    break
  }
})

test('repartition deals rows out evenly', async () => {
  for (const dataset of [await readTable(numbers), fromRows(rows(0, 1000), schema, { numPartitions: 3 })]) {
    const four = dataset.repartition(4)
    expect(await four.numPartitions()).toBe(4)
    expect(await sizes(four.tables())).toEqual([250, 250, 250, 250])
    expect(byX(await four.toRows())).toEqual(rows(0, 1000))
  }
  const more = fromRows(rows(0, 2), schema).repartition(3)
  expect(await sizes(more.tables())).toEqual([1, 1, 0])
  expect(await sizes(fromRows([], schema).repartition(2).tables())).toEqual([0, 0])
})

test('a shuffle that does not fit into memory goes through files, which are gone afterwards', async () => {
  const tmp = newPath('')
  mkdirSync(tmp)
  const create = vi.spyOn(addon(), 'createShuffle')
  const dataset = fromRows(rows(0, 20_000), schema, { memory: 2000, tmp, maxRecordsPerTable: 1000 })
  await using partitions = await dataset.repartition(3).partitions()
  const found: unknown[] = []
  for (const partition of partitions) for await (const table of partition) found.push(...xs(table))
  expect(found.sort((a, b) => Number(a) - Number(b))).toEqual(rows(0, 20_000).map(({ x }) => x))
  expect(create.mock.results[0]!.value.spilledBytes).toBeGreaterThan(100_000)
  create.mockRestore()
  await partitions[Symbol.asyncDispose]()
  expect(readdirSync(tmp)).toEqual([])
})

test('a partition can be read again, shuffled or not', async () => {
  for (const dataset of [await readTable(numbers), fromRows(rows(0, 9), schema).repartition(2)]) {
    await using partitions = await dataset.partitions()
    const twice = [await sizes(partitions.at(0)!), await sizes(partitions.at(0)!)]
    expect(twice[1]).toEqual(twice[0])
  }
})

test('union of files and memory, one with nulls and one that may have none', async () => {
  const strict = new Schema(schema.fields.map(({ name, type }) => new Field(name, type, false)))
  const whole = rows(0, 9).map((row) => ({ ...row, name: row.name ?? '' }))
  const path = await written(fromRows(whole, strict))
  const union = (await readTable(path)).union(fromRows(rows(9, 20), schema), await readTable(numbers))
  expect((await union.schema()).fields.map(({ nullable }) => nullable)).toEqual([false, true, true])
  const expected = [...whole, ...rows(9, 20), ...rows(0, 1000)]
  expect(await union.toRows()).toEqual(expected)
  expect((await union.toTable()).numRows).toBe(expected.length)
  expect(await (await readTable(await written(union))).toRows()).toEqual(expected)
  expect(byX(await union.repartition(2).toRows())).toEqual(byX(expected))
})

test('partitionBy a column brings its values together', async () => {
  const parted = (await readTable(numbers)).partitionBy('name', { numPartitions: 3 })
  await using partitions = await parted.partitions()
  const seen = new Map<unknown, number>()
  let count = 0
  for (const partition of partitions) {
    for await (const table of partition) {
      count += table.numRows
      for (const { name } of tableToRows(table)) {
        expect(seen.get(name) ?? partition.index, `${name}`).toBe(partition.index)
        seen.set(name, partition.index)
      }
    }
  }
  expect(count).toBe(1000)
  expect(seen.size).toBe(6)
  await expect(fromRows([], schema).partitionBy('y').count()).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
})

test('partitionBy a function puts each row where it says', async () => {
  const parted = fromRows(rows(0, 100), schema).partitionBy((table) => xs(table).map((x) => x % 3), {
    numPartitions: 3,
  })
  await using partitions = await parted.partitions()
  for (const partition of partitions) {
    for await (const table of partition) for (const x of xs(table)) expect(x % 3).toBe(partition.index)
  }
  const wrong = fromRows(rows(0, 100), schema).partitionBy((table) => xs(table), { numPartitions: 3 })
  await expect(wrong.count()).rejects.toMatchObject({
    code: 'FUNCTION_FAILED',
    message: 'partitionBy, partition 0 (table 0): the function gave 3 for row 3: there are 3 partitions',
  })
  const short = fromRows(rows(0, 100), schema).partitionBy(() => [0])
  await expect(short.count()).rejects.toThrow('the function gave 1 numbers for 100 rows')
})

test('groupBy: each key once, with all of its rows', async () => {
  const out = new Schema([
    new Field('name', new Utf8(), true),
    new Field('count', new Int32(), false),
    new Field('sum', new Float64(), false),
  ])
  const sum = (rows: { price: number }[]) => rows.reduce((total, { price }) => total + price, 0)
  const groups = new Map<string | null, { price: number }[]>()
  for (const row of rows(0, 1000)) groups.set(row.name, [...(groups.get(row.name) ?? []), row])
  const expected = [...groups].map(([name, rows]) => ({ name, count: rows.length, sum: sum(rows) }))
  for (const maxRecordsPerTable of [-1, 10]) {
    for (const numPartitions of [1, 4]) {
      const dataset = await readTable(numbers, { maxRecordsPerTable })
      const grouped = dataset.groupBy('name', { numPartitions }).map((name, tables) => {
        const all = tables.flatMap((table) => tableToRows(table)) as { name: unknown; price: number }[]
        if (maxRecordsPerTable > 0) expect(tables.every(({ numRows }) => numRows <= maxRecordsPerTable)).toBe(true)
        expect(all.every((row) => row.name === name)).toBe(true)
        return tableFromRows([{ name, count: all.length, sum: sum(all) }], out)
      })
      const order = (a: { name: unknown }, b: { name: unknown }) => (String(a.name) < String(b.name) ? -1 : 1)
      expect(((await grouped.toRows()) as { name: unknown }[]).sort(order)).toEqual(expected.sort(order))
    }
  }
})

test('groupBy several columns: an object of values; no rows, no group', async () => {
  const keys: unknown[] = []
  const dataset = fromRows(rows(0, 10), schema).groupBy(['name', 'x'])
  const grouped = dataset.map((key, [table]) => {
    keys.push(key)
    return table!
  })
  expect(byX(await grouped.toRows())).toEqual(rows(0, 10))
  expect(byX(keys as Record<string, unknown>[])).toEqual(rows(0, 10).map(({ name, x }) => ({ name, x })))
  const fn = vi.fn((_: unknown, [table]: readonly Table[]) => table!)
  expect(await fromRows([], schema).groupBy('x').map(fn, { schema }).toRows()).toEqual([])
  expect(fn).not.toHaveBeenCalled()
  await expect(fromRows(rows(0, 1), schema).groupBy('y').map(fn).count()).rejects.toMatchObject({
    code: 'COLUMN_NOT_FOUND',
  })
  const failing = fromRows(rows(0, 1), schema)
    .groupBy('x')
    .map(() => {
      throw new Error('no')
    })
  await expect(failing.count()).rejects.toMatchObject({ code: 'FUNCTION_FAILED', message: 'groupBy, partition 0: no' })
})

test('write: what is there, and what happens to it', async () => {
  const path = newPath('.parquet')
  const dataset = fromRows(rows(0, 10), schema, { numPartitions: 2 })
  expect(await dataset.write(path)).toMatchObject({ rows: 10 })
  await expect(dataset.write(path)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  await dataset.take(3).write(path, { mode: 'overwrite' })
  expect(await (await readTable(path)).toRows()).toEqual(rows(0, 3))
})

test('write partitioned, and read it again', async () => {
  const path = newPath('')
  const dataset = fromRows(rows(0, 100), schema)
  const { rows: count, files } = await dataset.write(path, { partitionBy: ['name'] })
  expect(count).toBe(100)
  expect(files).toBe(6)
  const back = await readTable(path)
  expect(byX(await back.toRows())).toEqual(rows(0, 100))
  expect(byX(await back.filter("name = 'n4'").toRows())).toEqual(rows(0, 100).filter(({ name }) => name === 'n4'))
  await expect(dataset.write(newPath(''), { partitionBy: ['y'] })).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
})

test('append to a directory', async () => {
  const path = newPath('')
  await fromRows(rows(0, 5), schema).write(path, { format: 'parquet', mode: 'append' })
  await fromRows(rows(5, 8), schema).write(path, { format: 'parquet', mode: 'append' })
  expect(byX(await (await readTable(path)).toRows())).toEqual(rows(0, 8))
})

test('a write that fails leaves nothing', async () => {
  const dir = newPath('')
  mkdirSync(dir)
  let given = 0
  const failing = fromIterable(
    function* () {
      for (;;) {
        if (given++ === 3) throw new Error('no more')
        yield tableFromRows(rows(0, 1000), schema)
      }
    },
    { schema },
  )
  for (const path of [join(dir, 'a.parquet'), join(dir, 'b')]) {
    given = 0
    await expect(failing.write(path)).rejects.toThrow('no more')
    expect(readdirSync(dir)).toEqual([])
  }
  const controller = new AbortController()
  const endless = fromIterable(
    function* () {
      for (let i = 0; ; i++) {
        if (i === 5) controller.abort()
        yield tableFromRows(rows(0, 1000), schema)
      }
    },
    { schema },
  )
  await expect(endless.write(join(dir, 'c.parquet'), { signal: controller.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
  })
  expect(readdirSync(dir)).toEqual([])
})

test('a write reads one table at a time', async () => {
  let asked = 0
  let made = 0
  const dataset = fromIterable(
    function* () {
      for (let i = 0; i < 5; i++) {
        expect(asked - made).toBe(0)
        asked++
        yield tableFromRows(rows(i, i + 1), schema)
      }
    },
    { schema },
  ).map((table) => {
    made++
    return table
  })
  await dataset.write(newPath('.parquet'))
  expect([asked, made]).toEqual([5, 5])
})

test('what cannot be read or written', async () => {
  await expect(readTable(join(directory, 'none.parquet'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  const noTable = newPath('.parquet')
  writeFileSync(noTable, 'nothing like a table')
  await expect(readTable(noTable)).rejects.toMatchObject({ code: 'NOT_A_TABLE' })
  await expect(readTable(numbers, { columns: ['y'] })).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
  await expect(readTable(numbers, { version: 1.5 })).rejects.toThrow('version: must be')
  await expect(readTable(numbers, { timestamp: 'x' })).rejects.toThrow('timestamp: x is no date')
  const dataset = fromRows(rows(0, 1), schema)
  await expect(dataset.write(newPath('.parquet'), { format: 'csv' as never })).rejects.toThrow('format: must be')
  await expect(dataset.write(newPath('.parquet'), { mode: 'ignore' as never })).rejects.toThrow('mode: must be')
  const unwritable = join(directory, 'no', 'such', 'directory.parquet')
  await expect(dataset.write(unwritable)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' })
  expect(existsSync(unwritable)).toBe(false)
})

test('Arrow data in memory, filtered and selected', async () => {
  const table = tableFromRows(rows(0, 50), schema)
  const options = { columns: ['x'], filter: 'price < 1' }
  for (const source of [table, tableToIPC(table, 'stream'), tableToIPC(table, 'file'), [table], table.batches[0]!]) {
    expect(await (await readTable(source, options)).toRows()).toEqual([{ x: 0 }, { x: 1 }, { x: 2 }, { x: 3 }])
  }
})

test('every type through native memory: take, group, shuffle', async () => {
  const given = allTypesRows(23).map((row, at) => ({ ...row, at: BigInt(at) }))
  const withAt = new Schema([...allTypes.fields, new Field('at', new Int64(), false)])
  const order = (rows: Record<string, unknown>[]) => rows.sort((a, b) => Number(a.at) - Number(b.at))
  const dataset = fromRows(given, withAt, { numPartitions: 2 })
  expect(order(await dataset.repartition(3).toRows())).toEqual(given)
  expect(order(await dataset.filter('at % 2 = 0').toRows())).toEqual(given.filter(({ at }) => at % 2n === 0n))
  const grouped = dataset.groupBy('bool').map((_, [table]) => table!)
  expect(order(await grouped.toRows())).toEqual(given)
})
