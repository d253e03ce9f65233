import {
  Table as ArrowTable,
  Int32,
  makeVector,
  type Table,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import { expect, test } from 'vitest'
import { addon, callNow, type NativeArrow } from '../../src/native.ts'

const sample = () =>
  new ArrowTable({
    id: makeVector(Int32Array.from([3, 1, 2, 1])),
    name: vectorFromArray(['c', 'a', null, 'b'], new Utf8()),
    price: makeVector(Float64Array.from([0.5, 10, 2.5, Number.NaN])),
  })

const native = async (table: Table = sample()): Promise<NativeArrow> =>
  await addon().arrowFromIpc(tableToIPC(table, 'stream'))

const rows = async (arrow: NativeArrow): Promise<unknown[]> =>
  tableFromIPC(await arrow.toIpc())
    .toArray()
    .map((row) => ({ ...row }))

const ids = async (arrow: NativeArrow) => [...tableFromIPC(await arrow.toIpc()).getChild('id')!]

test('a table goes in and out with its types and nulls', async () => {
  const arrow = await native()
  expect(arrow.numRows).toBe(4)
  expect(arrow.sizeBytes).toBeGreaterThan(4 * 12)
  expect(await rows(arrow)).toEqual(
    sample()
      .toArray()
      .map((row) => ({ ...row })),
  )
  expect(tableFromIPC(arrow.schemaIpc()).schema.fields.map((field) => `${field}`)).toEqual(
    sample().schema.fields.map((field) => `${field}`),
  )
})

test('filter, select, slice, take and sort', async () => {
  const arrow = await native()
  expect(await ids(await arrow.filter('price > 1 or name is null'))).toEqual([1, 2])
  expect(await rows(arrow.select(['name']).slice(1, 2))).toEqual([{ name: 'a' }, { name: null }])
  expect(await ids(await arrow.take(Uint32Array.from([2, 2, 0])))).toEqual([2, 2, 3])
  const sorted = await arrow.sort([{ column: 'id', descending: true }, { column: 'name' }])
  expect((await rows(sorted)).map((row) => (row as { name: string }).name)).toEqual(['c', null, 'a', 'b'])
})

test('groups are runs of the sorted table', async () => {
  const groups = await (await native()).group(['id'])
  expect(groups.starts).toEqual(Uint32Array.from([0, 2, 3, 4]))
  expect(await ids(groups.table)).toEqual([1, 1, 2, 3])
})

test('concat and cast', async () => {
  const arrow = await native()
  expect((await addon().concatArrow([arrow, arrow])).numRows).toBe(8)
  const cast = await arrow.cast([
    { name: 'id', type: 'bigint' },
    { name: 'price', type: 'Float32' },
  ])
  expect(tableFromIPC(cast.schemaIpc()).schema.fields.map((field) => `${field.type}`)).toEqual([
    'Int64',
    'Utf8',
    'Float32',
  ])
  const other = await native(new ArrowTable({ id: vectorFromArray([1], new Int32()) }))
  await expect(addon().concatArrow([arrow, other])).rejects.toThrow(/^SCHEMA_MISMATCH: .*"name"/)
})

test('errors name the column and the types', async () => {
  const arrow = await native()
  expect(() => callNow(() => arrow.filter("price = 'a'"))).toThrow(
    expect.objectContaining({
      code: 'FILTER_INVALID',
      message: expect.stringMatching(/'a' is no number.*"price" \(Float64\)/),
    }),
  )
  expect(() => callNow(() => arrow.filter('nam is null'))).toThrow(
    expect.objectContaining({ code: 'COLUMN_NOT_FOUND', message: expect.stringContaining('did you mean "name"?') }),
  )
  expect(() => callNow(() => arrow.cast([{ name: 'id', type: 'enough' }]))).toThrow(/enough/)
  expect(() => callNow(() => arrow.cast([{ name: 'name', type: 'int' }]))).toThrow(/"name".*Utf8.*Int32/)
  arrow.dispose()
  expect(() => callNow(() => arrow.select(['id']))).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
})
