import {
  type Data,
  type DataType,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int32,
  List,
  makeData,
  type RecordBatch,
  Schema,
  Table,
  tableFromIPC,
  Utf8,
} from 'apache-arrow'
import { expect, test } from 'vitest'
import { tableToIpc } from '../../src/table/ipc.ts'
import { tableFromRows } from '../../src/table/rows/convert.ts'
import { recordBatch } from '../../src/table/schema.ts'
import { vectors } from '../../src/table/vectors.ts'

const dim = 3
const item = (type: DataType) => new Field('item', type, true)
const fixed = (type: DataType = new Float32()) =>
  new Schema([new Field('id', new Int32()), new Field('v', new FixedSizeList(dim, item(type)), true)])
const list = (type: DataType = new Float32()) =>
  new Schema([new Field('id', new Int32()), new Field('v', new List(item(type)), true)])

const numbers = (rows: number) => Float32Array.from({ length: rows * dim }, (_, i) => i + 0.5)
const rowsOf = (values: ArrayLike<number>) =>
  Array.from({ length: values.length / dim }, (_, id) => ({
    id,
    v: Array.from(values).slice(id * dim, (id + 1) * dim),
  }))

/** A table whose vectors are `values` themselves. */
function over(values: Float32Array, schema = fixed()): Table {
  const length = values.length / dim
  const ids = makeData({ type: new Int32(), data: Int32Array.from({ length }, (_, i) => i) })
  const child = makeData({ type: new Float32(), data: values })
  const type = schema.fields[1]!.type
  const valueOffsets = Int32Array.from({ length: length + 1 }, (_, i) => i * dim)
  const column = makeData({ type, child, length, nullCount: 0, valueOffsets } as never) as Data
  return new Table(schema, [recordBatch(schema, [ids, column], length)])
}

const sameMemory = (a: Float32Array, b: Float32Array) =>
  a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.length === b.length

test.each([
  ['fixed_size_list', fixed()],
  ['list', list()],
])('%s of float32: the memory of the table, whole or sliced', (_, schema) => {
  const values = numbers(100)
  const table = over(values, schema)
  const all = vectors(table, 'v')
  expect(all).toMatchObject({ dim, numRows: 100 })
  expect(sameMemory(all.values, values)).toBe(true)
  for (const [from, to] of [
    [0, 10],
    [7, 8],
    [13, 100],
    [50, 50],
  ] as const) {
    const part = vectors(table.slice(from, to), 'v')
    expect(part.numRows).toBe(to - from)
    if (to > from) expect(sameMemory(part.values, values.subarray(from * dim, to * dim))).toBe(true)
  }
  const twice = vectors(table.slice(10, 90).slice(5, 20), 'v')
  expect(sameMemory(twice.values, values.subarray(15 * dim, 30 * dim))).toBe(true)
  expect(sameMemory(vectors(table.batches[0] as RecordBatch, 'v').values, values)).toBe(true)
})

test('chunks that follow each other in memory are one view; others are copied', () => {
  const values = numbers(100)
  const table = over(values)
  const cut = new Table(table.schema, [
    ...table.slice(10, 40).batches,
    ...table.slice(40, 41).batches,
    ...table.slice(41, 90).batches,
  ])
  expect(sameMemory(vectors(cut, 'v').values, values.subarray(30, 270))).toBe(true)
  const turned = new Table(table.schema, [...table.slice(40, 60).batches, ...table.slice(5, 40).batches])
  const copy = vectors(turned, 'v')
  expect(copy.values.buffer).not.toBe(values.buffer)
  expect([...copy.values]).toEqual([...values.subarray(120, 180), ...values.subarray(15, 120)])
  expect(copy.numRows).toBe(55)
})

test('an IPC stream is viewed, not copied', () => {
  const bytes = tableToIpc(over(numbers(10)))
  const found = vectors(tableFromIPC(bytes), 'v')
  expect(found.values.buffer).toBe(bytes.buffer)
  expect([...found.values]).toEqual([...numbers(10)])
})

test.each<[string, DataType]>([
  ['float64', new Float64()],
  ['float16', new Float16()],
  ['int8', new Int8()],
])('%s is rounded to float32', (_, type) => {
  const rows = rowsOf([1, 2, -3, 4, 5, 6, 7, 8, 9])
  for (const schema of [fixed(type), list(type)]) {
    const table = tableFromRows(rows, schema)
    expect([...vectors(table.slice(1), 'v').values]).toEqual([4, 5, 6, 7, 8, 9])
  }
})

test('no rows', () => {
  expect(vectors(tableFromRows([], fixed()), 'v')).toEqual({ values: new Float32Array(0), dim, numRows: 0 })
  expect(vectors(new Table(list(), []), 'v')).toEqual({ values: new Float32Array(0), dim: 0, numRows: 0 })
})

test('a list without rows before it sets no length', () => {
  const empty = tableFromRows([], list())
  const some = tableFromRows(rowsOf(numbers(2)), list())
  const table = new Table(some.schema, [...empty.batches, ...some.batches])
  expect(vectors(table, 'v')).toMatchObject({ dim, numRows: 2 })
})

const good = { id: 0, v: [1, 2, 3] }
test.each([
  ['NULL_VECTOR', 'column "v", row 2: the vector is null', null],
  ['NULL_VECTOR', 'column "v", row 2: the vector has a null at 1', [1, null, 3]],
  ['INVALID_VECTOR', 'column "v", row 2: the vector has NaN at 2', [1, 2, Number.NaN]],
  ['INVALID_VECTOR', 'column "v", row 2: the vector has -Infinity at 0', [Number.NEGATIVE_INFINITY, 2, 3]],
])('%s: %s', (code, message, bad) => {
  const rows = [good, good, { id: 1, v: bad }, good]
  for (const schema of [fixed(), list(), fixed(new Float64())]) {
    const table = tableFromRows(rows, schema)
    expect(() => vectors(table, 'v')).toThrow(expect.objectContaining({ code, message }))
    const later = new Table(table.schema, [...table.slice(0, 1).batches, ...table.slice(1).batches])
    expect(() => vectors(later, 'v')).toThrow(message)
    expect(() => vectors(table.slice(1), 'v')).toThrow(message.replace('row 2', 'row 1'))
    expect(vectors(table.slice(3), 'v').numRows).toBe(1)
  }
})

test('vectors of several lengths, numbers beyond float32', () => {
  const ragged = tableFromRows([good, { id: 1, v: [1, 2] }], list())
  expect(() => vectors(ragged, 'v')).toThrow('column "v", row 1: the vector has 2 numbers, the first vector 3')
  const later = new Table(ragged.schema, [...ragged.slice(0, 1).batches, ...ragged.slice(1).batches])
  expect(() => vectors(later, 'v')).toThrow(expect.objectContaining({ code: 'RAGGED_VECTOR' }))
  const wide = tableFromRows([good, { id: 1, v: [1, 1e300, 2] }], fixed(new Float64()))
  expect(() => vectors(wide, 'v')).toThrow('row 1: the vector has 1e+300, which is beyond float32')
})

test('many vectors, one of them with a number that is none', () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({ id: i, v: [i, i / 2, -i] }))
  for (const schema of [fixed(), list()]) {
    const values = vectors(tableFromRows(rows, schema), 'v').values
    expect(values).toEqual(Float32Array.from(rows.flatMap(({ v }) => v)))
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const table = tableFromRows(rows.with(2998, { id: 2998, v: [1, bad, 3] }), schema)
      expect(() => vectors(table, 'v')).toThrow(`column "v", row 2998: the vector has ${bad} at 1`)
    }
  }
})

test('NaN when asked for', () => {
  const table = tableFromRows([{ id: 0, v: [1, Number.NaN, 3] }], fixed())
  expect([...vectors(table, 'v', { checkFinite: false }).values]).toEqual([1, Number.NaN, 3])
})

test('columns that are none', () => {
  const table = tableFromRows([{ id: 1, v: ['a'] }], list(new Utf8()))
  expect(() => vectors(table, 'w')).toThrow('no column "w": there are id, v')
  expect(() => vectors(table, 'id')).toThrow('column "id" is Int32: vectors are lists of numbers')
  expect(() => vectors(table, 'v')).toThrow('column "v" is List<Utf8>')
})
