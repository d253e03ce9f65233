// What needs no file: datasets of tables in memory, their laziness counted in calls.
import { Field, Float64, Int32, Schema, Table, Utf8, vectorFromArray } from 'apache-arrow'
import { expect, test, vi } from 'vitest'
import {
  fromIterable,
  fromRows,
  fromTables,
  NighError,
  readTable,
  tableFromRows,
  tableToRows,
} from '../../src/index.ts'
import { allTypes, allTypesRows } from './all-types.ts'

const schema = new Schema([new Field('x', new Int32(), true), new Field('name', new Utf8(), true)])
const row = (x: number) => ({ x, name: `row ${x}` })
const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i))
const table = (from: number, to: number) => tableFromRows(rows(from, to), schema)
const xs = (table: Table) => [...table.getChild('x')!]

/** Tables of one row each, and how many were asked for. */
function counted(count: number) {
  const asked = vi.fn()
  const closed = vi.fn()
  function* tables() {
    try {
      for (let i = 0; i < count; i++) {
        asked()
        yield table(i, i + 1)
      }
    } finally {
      closed()
    }
  }
  return { asked, closed, dataset: fromIterable(tables, { schema }) }
}

async function sizes(tables: AsyncIterable<Table>): Promise<number[]> {
  const out: number[] = []
  for await (const table of tables) out.push(table.numRows)
  return out
}

test('rows of every type there and back', async () => {
  const rows = allTypesRows(23)
  expect(await fromRows(rows, allTypes, { numPartitions: 3, maxRecordsPerTable: 4 }).toRows()).toEqual(rows)
})

test('without a limit a table is a partition', async () => {
  expect(await sizes(fromRows(rows(0, 10), schema, { numPartitions: 2 }).tables())).toEqual([5, 5])
  const uneven = fromTables([table(0, 1), table(1, 1), table(1, 4)])
  expect(await uneven.numPartitions()).toBe(3)
  expect(await sizes(uneven.tables())).toEqual([1, 0, 3])
})

test('an empty frame has no table, an empty partition an empty one', async () => {
  const empty = fromRows([], schema)
  expect(await sizes(empty.tables())).toEqual([])
  expect(await empty.numPartitions()).toBe(0)
  expect((await empty.toTable()).schema.names).toEqual(['x', 'name'])
  const more = fromRows(rows(0, 1), schema, { numPartitions: 2 })
  expect(await sizes(more.tables())).toEqual([0, 1])
})

test('a limit of 3 over 10 rows in 2 partitions', async () => {
  const dataset = fromRows(rows(0, 10), schema, { numPartitions: 2, maxRecordsPerTable: 3 })
  expect(await sizes(dataset.tables())).toEqual([3, 2, 3, 2])
  expect(await dataset.toRows()).toEqual(rows(0, 10))
})

test('partitions, each its own tables', async () => {
  const dataset = fromTables([table(0, 2), table(2, 3)], { maxRecordsPerTable: 1 })
  await using partitions = await dataset.partitions()
  expect(partitions.length).toBe(2)
  const found = []
  for (const partition of partitions) for await (const table of partition) found.push([partition.index, ...xs(table)])
  expect(found).toEqual([
    [0, 0],
    [0, 1],
    [1, 2],
  ])
  expect(await sizes(partitions.at(0)!)).toEqual([1, 1])
})

test('nothing is read before it is asked for, and then one table at a time', async () => {
  const { asked, closed, dataset } = counted(10)
  const mapped = vi.fn((table: Table) => table)
  const steps = dataset
    .map(mapped)
    .select(['x'])
    .withColumn('y', (table) => table.getChild('x')!)
    .filter((table) => Array.from({ length: table.numRows }, () => true))
    .flatMap(function* (table) {
      yield table
      yield table
    })
  expect(asked).not.toHaveBeenCalled()
  const tables = steps.tables()
  for (const [pulls, read] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
  ] as const) {
    await tables.next()
    expect(asked, `after ${pulls}`).toHaveBeenCalledTimes(read)
    expect(mapped).toHaveBeenCalledTimes(read)
  }
  expect(closed).not.toHaveBeenCalled()
  await tables.return()
  expect(closed).toHaveBeenCalledTimes(1)
  expect(asked).toHaveBeenCalledTimes(2)
})

test('leaving a loop early, and failing in it, closes the source', async () => {
  const early = counted(10)
  for await (const table of early.dataset.map((table) => table)) {
    if (xs(table)[0] === 3) break
  }
  expect(early.asked).toHaveBeenCalledTimes(4)
  expect(early.closed).toHaveBeenCalledTimes(1)
  const failing = counted(10)
  await expect(
    failing.dataset
      .map((table) => {
        if (xs(table)[0] === 2) throw new Error('two')
        return table
      })
      .count(),
  ).rejects.toThrow('two')
  expect(failing.closed).toHaveBeenCalledTimes(1)
})

test('a dataset can be read again', async () => {
  const { asked, dataset } = counted(3)
  expect(await dataset.count()).toBe(3)
  expect(await dataset.toRows()).toEqual(rows(0, 3))
  expect(asked).toHaveBeenCalledTimes(6)
})

test('an iterator goes by once', async () => {
  const once = fromIterable([table(0, 1)].values(), { schema })
  expect(await once.count()).toBe(1)
  await expect(once.count()).rejects.toMatchObject({ code: 'ALREADY_READ' })
  const array = fromIterable([table(0, 1)])
  expect(await array.count()).toBe(1)
  expect(await array.count()).toBe(1)
})

test('the schema of functions: told, or that of the first table', async () => {
  const { asked, dataset } = counted(3)
  expect((await dataset.schema()).names).toEqual(['x', 'name'])
  expect((await dataset.select(['name']).schema()).names).toEqual(['name'])
  expect(asked).not.toHaveBeenCalled()
  const other = new Schema([new Field('y', new Float64(), true)])
  const fn = vi.fn((table: Table) => tableFromRows([{ y: table.numRows }], other))
  expect((await dataset.map(fn, { schema: other }).schema()).names).toEqual(['y'])
  expect(
    (await dataset.withColumn('z', (table) => table.getChild('x')!, { type: new Int32() }).schema()).names,
  ).toEqual(['x', 'name', 'z'])
  expect(asked).not.toHaveBeenCalled()
  expect((await dataset.map(fn).schema()).names).toEqual(['y'])
  expect(asked).toHaveBeenCalledTimes(1)
  expect(fn).toHaveBeenCalledTimes(1)
  const none = fromTables([], { schema })
  await expect(none.map(fn).schema()).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' })
  await expect(none.map(fn).toTable()).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' })
  expect((await none.map(fn, { schema: other }).toTable()).schema.names).toEqual(['y'])
})

test('map: what each function gives is one table, nulls or not, each dictionary its own', async () => {
  const made = [['a', 'b'], ['c', null], ['b']].map((texts) => new Table({ text: vectorFromArray(texts) }))
  const dataset = fromTables([table(0, 1), table(1, 2), table(2, 3)]).map((table) => made[xs(table)[0]!]!)
  const whole = await dataset.toTable()
  expect(tableToRows(whole).map(({ text }) => text)).toEqual(['a', 'b', 'c', null, 'b'])
  const again = await readTable(whole)
  expect((await again.toRows()).map(({ text }) => text)).toEqual(['a', 'b', 'c', null, 'b'])
})

test('map: an error names the step and the partition, and keeps its code', async () => {
  const dataset = fromTables([table(0, 1), table(1, 2)])
  const cause = new RangeError('no one')
  const failing = dataset.map((table) => {
    if (xs(table)[0] === 1) throw cause
    return table
  })
  await expect(failing.toTable()).rejects.toMatchObject({
    code: 'FUNCTION_FAILED',
    message: 'map, partition 1 (table 1): no one',
    cause,
  })
  const known = dataset.map(() => {
    throw new NighError('NULL_VECTOR', 'row 3')
  })
  await expect(known.toTable()).rejects.toMatchObject({
    code: 'NULL_VECTOR',
    message: 'map, partition 0 (table 0): row 3',
  })
  await expect(dataset.map((() => 5) as never).toTable()).rejects.toThrow('the function gave 5, not a table')
  const changing = dataset.map((table) => (xs(table)[0] === 1 ? table.select(['name']) : table))
  await expect(changing.toTable()).rejects.toMatchObject({
    code: 'SCHEMA_MISMATCH',
    message:
      'map, partition 1 (table 1): the table that the function gave: column "name" stands where column "x" should',
  })
  const strict = new Schema([new Field('x', new Int32(), false)])
  const nulls = dataset.map(() => tableFromRows([{ x: null }], new Schema([schema.fields[0]!])), { schema: strict })
  await expect(nulls.toTable()).rejects.toThrow('column "x" has nulls, and the schema says it has none')
})

test('select: an order of columns; one that is not there, one twice', async () => {
  const dataset = fromTables([table(0, 2)])
  expect(await dataset.select(['name', 'x']).toRows()).toEqual(rows(0, 2))
  expect((await dataset.select(['name', 'x']).toTable()).schema.names).toEqual(['name', 'x'])
  await expect(dataset.select(['y']).tables().next()).rejects.toMatchObject({
    code: 'COLUMN_NOT_FOUND',
    message: 'no column "y": there are x, name',
  })
  await expect(dataset.select(['x', 'x']).count()).rejects.toMatchObject({ code: 'COLUMN_CONFLICT' })
})

test('withColumn: a new one, one in place of another; a vector in other chunks', async () => {
  const two = new Table(schema, [...table(0, 3).batches, ...table(3, 7).batches])
  const chunks = vectorFromArray([0, 1]).concat(vectorFromArray([2, 3, 4, 5, 6]))
  const dataset = fromTables([two])
  expect(await dataset.withColumn('y', () => chunks).toRows()).toEqual(rows(0, 7).map((row) => ({ ...row, y: row.x })))
  const replaced = dataset.withColumn('x', (table) => table.getChild('name')!)
  expect(await replaced.toRows()).toEqual(rows(0, 7).map(({ name }) => ({ x: name, name })))
  expect((await replaced.schema()).names).toEqual(['x', 'name'])
  await expect(dataset.withColumn('y', () => vectorFromArray([1])).count()).rejects.toThrow(
    'withColumn "y", partition 0 (table 0): the function gave 1 values for 7 rows',
  )
  await expect(dataset.withColumn('y', (() => [1]) as never).count()).rejects.toThrow('gave Array of 1, not a Vector')
})

test('filter by a function: the table with the rows, all rows, none', async () => {
  const dataset = fromTables([table(0, 4), table(4, 6)])
  expect(await dataset.filter((table) => table.slice(1)).toRows()).toEqual([...rows(1, 4), row(5)])
  expect(await dataset.filter((table) => new Uint8Array(table.numRows).fill(1)).count()).toBe(6)
  expect(await sizes(dataset.filter((table) => new Array(table.numRows).fill(false)).tables())).toEqual([0, 0])
  await expect(dataset.filter(() => [true]).count()).rejects.toThrow('not a value for each of 4 rows')
})

test('take reads no more than it needs', async () => {
  const { asked, closed, dataset } = counted(10)
  expect(await dataset.take(3).toRows()).toEqual(rows(0, 3))
  expect(asked).toHaveBeenCalledTimes(3)
  expect(closed).toHaveBeenCalledTimes(1)
  const wide = fromTables([table(0, 4), table(4, 8)])
  expect(await wide.take(5).toRows()).toEqual(rows(0, 5))
  expect(await wide.take(100).count()).toBe(8)
  expect(await wide.take(0).toRows()).toEqual([])
  expect(await wide.take(5).numPartitions()).toBe(1)
})

test('union: the partitions of all, one after the other', async () => {
  const first = fromTables([table(0, 1), table(1, 2)])
  const last = fromTables([table(2, 4)])
  const union = first.union(fromRows([], schema), last, first)
  expect(await union.numPartitions()).toBe(5)
  expect(await union.toRows()).toEqual([...rows(0, 4), ...rows(0, 2)])
  await using partitions = await union.partitions()
  expect(await sizes(partitions.at(2)!)).toEqual([2])
  await expect(first.union(last.select(['x'])).count()).rejects.toMatchObject({
    code: 'SCHEMA_MISMATCH',
    message: 'union: in dataset 1, nothing stands where column "name" should',
  })
  const floats = new Schema([new Field('x', new Float64()), schema.fields[1]!])
  await expect(first.union(fromRows([], floats)).schema()).rejects.toThrow('column "x" is Float64, not Int32')
})

test('one partition of many', async () => {
  const dataset = fromTables([table(0, 1), table(1, 3)]).repartition(1)
  expect(await dataset.numPartitions()).toBe(1)
  expect(await sizes(dataset.tables())).toEqual([1, 2])
})

test('a signal ends the reading, and the source with it', async () => {
  const controller = new AbortController()
  const { asked, closed, dataset } = counted(10)
  const reading = dataset.map((table) => {
    if (xs(table)[0] === 2) controller.abort(new Error('enough'))
    return table
  })
  await expect(reading.toTable({ signal: controller.signal })).rejects.toMatchObject({
    code: 'CANCELLED',
    cause: expect.objectContaining({ message: 'enough' }),
  })
  expect(asked).toHaveBeenCalledTimes(3)
  expect(closed).toHaveBeenCalledTimes(1)
  await expect(dataset.count({ signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(asked).toHaveBeenCalledTimes(3)
  const whole = fromRows(rows(0, 1), schema, { signal: controller.signal })
  await expect(whole.toRows()).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('other forms of tables', async () => {
  expect(await (await readTable(table(0, 3).batches[0]!)).toRows()).toEqual(rows(0, 3))
  const vectors = await readTable({ vectors: Float32Array.of(1, 2, 3, 4), dim: 2, ids: ['a', 'b'] })
  expect(await vectors.toRows()).toEqual([
    { id: 'a', vector: [1, 2] },
    { id: 'b', vector: [3, 4] },
  ])
  const numbered = await readTable({ vectors: Float32Array.of(1, 2), dim: 1 }, { columns: ['id'] })
  expect(await numbered.toRows()).toEqual([{ id: 0n }, { id: 1n }])
})

test.each<[string, () => unknown]>([
  ['maxRecordsPerTable: must be', () => fromRows([], schema, { maxRecordsPerTable: 0 })],
  ['maxRecordsPerTable: must be', () => fromRows([], schema, { maxRecordsPerTable: 1.5 })],
  ['numPartitions: must be', () => fromRows([], schema, { numPartitions: 0 })],
  ['numPartitions: must be', () => fromRows([], schema).repartition(0)],
  ['groupBy: needs a column', () => fromRows([], schema).groupBy([])],
  ['take: must be', () => fromRows([], schema).take(-1)],
  ['schema: is needed', () => fromTables([])],
  ['workers: need a function', () => fromRows([], schema).map((table) => table, { workers: 2 } as never)],
  ['table 1: column "x" stands where', () => fromTables([table(0, 1).select(['name']), table(0, 1)])],
])('%s', (message, work) => {
  expect(work).toThrow(message)
})
