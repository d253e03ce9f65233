// Columns from SQL expressions.
import { join } from 'node:path'
import { DataType, Field, Float64, Int32, Schema, Utf8 } from 'apache-arrow'
import { expect, test } from 'vitest'
import { fromRows, readTable } from '../../src/index.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const schema = new Schema([
  new Field('x', new Int32(), false),
  new Field('name', new Utf8(), true),
  new Field('price', new Float64(), true),
])
const rows = Array.from({ length: 50 }, (_, x) => ({
  x,
  name: x % 7 === 3 ? null : `n${x % 5}`,
  price: x % 6 === 5 ? null : x / 4,
}))
const file = join(directory, 'rows.parquet')
await fromRows(rows, schema).write(file)
const small = { maxRecordsPerTable: 8 }

test('numbers, conditions, texts and constants; null where a part is null', async () => {
  const dataset = (await readTable(file, small))
    .withColumn('dear', 'price * 2 + x')
    .withColumn('first', "name = 'n1'")
    .withColumn('text', 'cast(x as string)')
    .withColumn('one', '1')
  const made = await dataset.schema()
  expect(made.names).toEqual(['x', 'name', 'price', 'dear', 'first', 'text', 'one'])
  expect(DataType.isFloat(made.fields[3]!.type)).toBe(true)
  expect(DataType.isBool(made.fields[4]!.type)).toBe(true)
  expect(await dataset.toRows()).toEqual(
    rows.map((row) => ({
      ...row,
      dear: row.price === null ? null : row.price * 2 + row.x,
      first: row.name === null ? null : row.name === 'n1',
      text: String(row.x),
      one: 1n,
    })),
  )
})

test('in the place of a column, from the column it replaces; then filtered, selected and written', async () => {
  const dearer = fromRows(rows, schema, { numPartitions: 3 }).withColumn('price', 'price * 10')
  expect((await dearer.schema()).names).toEqual(schema.names)
  const path = join(directory, 'dear.arrow')
  await dearer.filter('price > 100').select(['price', 'x']).write(path)
  const wanted = rows.flatMap(({ x, price }) => (price !== null && price * 10 > 100 ? [{ price: price * 10, x }] : []))
  expect(wanted.length).toBeGreaterThan(5)
  expect(await (await readTable(path)).toRows()).toEqual(wanted)
})

test('without a row', async () => {
  const none = (await readTable(file)).filter('x < 0').withColumn('twice', 'x * 2')
  expect((await none.schema()).names).toEqual(['x', 'name', 'price', 'twice'])
  expect(await none.toRows()).toEqual([])
})

test('mistakes name the expression, the column and its type, before a row is read', async () => {
  const dataset = await readTable(file)
  const fails = (expression: string, code: string, text: RegExp) =>
    expect(dataset.withColumn('y', expression).schema()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(text),
    })
  await fails('prise * 2', 'COLUMN_NOT_FOUND', /^expression "prise \* 2": .*"prise".*did you mean "price"/)
  await fails('name + 1', 'FILTER_INVALID', /^expression "name \+ 1": column "name" \(Utf8\)/)
  await fails('x +', 'FILTER_INVALID', /^expression "x \+": /)
  const wrong = (await readTable(file)).withColumn('y', 'cast(name as int)')
  await expect(wrong.toRows()).rejects.toMatchObject({
    code: 'FILTER_INVALID',
    message: expect.stringMatching(/expression "cast\(name as int\)": .*n0/),
  })
})
