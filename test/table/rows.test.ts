import {
  Binary,
  type DataType,
  DateDay,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int8,
  Int32,
  Int64,
  IntervalYearMonth,
  List,
  Map_,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  TimestampSecond,
  Uint8,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tableFromIpc, tableToIpc } from '../../src/table/ipc.ts'
import { tableFromRows, tableToRows } from '../../src/table/rows/convert.ts'
import { float16, float16Bits } from '../../src/table/rows/float16.ts'
import { allTypes, allTypesRows } from './all-types.ts'

const rows = allTypesRows(41)
const one = (type: DataType, nullable = true) => new Schema([new Field('x', type, nullable)])
const through = (type: DataType, ...values: unknown[]) =>
  tableToRows(
    tableFromRows(
      values.map((x) => ({ x })),
      one(type),
    ),
  ).map(({ x }) => x)

test('rows of every type are the same after a table', () => {
  expect(tableToRows(tableFromRows(rows, allTypes))).toEqual(rows)
})

test('a table says of its columns what apache-arrow reads', () => {
  const table = tableFromRows(rows, allTypes)
  expect([...table.getChild('int64')!]).toEqual(rows.map((row) => row.int64))
  expect([...table.getChild('utf8View')!]).toEqual(rows.map((row) => row.utf8View))
  expect([...table.getChild('dictionary')!]).toEqual(rows.map((row) => row.dictionary))
  expect([...table.getChild('float16')!]).toEqual(rows.map((row) => row.float16))
  expect(table.getChild('vector')!.nullCount).toBe(rows.filter((row) => row.vector === null).length)
})

test('every slice of a table gives its rows, through IPC too', () => {
  const table = tableFromRows(rows, allTypes)
  const halves = new Table(allTypes, [...table.slice(0, 17).batches, ...table.slice(17).batches])
  const range = fc.tuple(fc.nat(rows.length), fc.nat(rows.length)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)])
  fc.assert(
    fc.property(range, fc.boolean(), ([from, to], chunked) => {
      const slice = (chunked ? halves : table).slice(from, to)
      const expected = rows.slice(from, to)
      expect(tableToRows(slice)).toEqual(expected)
      expect(tableToRows(tableFromIpc(tableToIpc(slice)))).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})

test('slices of slices through IPC', () => {
  const table = tableFromRows(rows, allTypes).slice(3, 38).slice(5, 30)
  expect(tableToRows(tableFromIpc(tableToIpc(table)).slice(1, 20))).toEqual(rows.slice(9, 28))
})

test('no rows: a table with the schema', () => {
  const table = tableFromRows([], allTypes)
  expect(table.numRows).toBe(0)
  expect(tableToRows(table)).toEqual([])
  const back = tableFromIpc(tableToIpc(table))
  expect(back.numRows).toBe(0)
  expect(back.schema.names).toEqual(allTypes.names)
})

test('a missing property is null, another is left out', () => {
  expect(tableToRows(tableFromRows([{ y: 1 }], one(new Int32())))).toEqual([{ x: null }])
})

test('two columns may have one dictionary type', () => {
  const type = new Dictionary(new Utf8(), new Int8())
  const schema = new Schema([new Field('a', type), new Field('b', type)])
  const given = [
    { a: 'x', b: 'y' },
    { a: 'x', b: 'z' },
  ]
  expect(tableToRows(tableFromIpc(tableToIpc(tableFromRows(given, schema))))).toEqual(given)
})

test('what comes in by another form', () => {
  expect(through(new Decimal(2, 10), 1, 0.1, 5n, '-1.5', '1e2', '.5', '1.500')).toEqual([
    '1.00',
    '0.10',
    '5.00',
    '-1.50',
    '100.00',
    '0.50',
    '1.50',
  ])
  expect(through(new Int64(), 5, 5n)).toEqual([5n, 5n])
  expect(through(new TimestampMicrosecond(), new Date(5))).toEqual([5000n])
  expect(through(new TimestampSecond(), 5n)).toEqual([new Date(5000)])
  expect(through(new FixedSizeList(2, new Field('item', new Float32())), Float32Array.of(1, 2))).toEqual([[1, 2]])
  const map = new Map_(
    new Field(
      'entries',
      new Struct([new Field('key', new Utf8(), false), new Field('value', new Int32())]),
      false,
    ) as never,
  )
  expect(through(map, { a: 1 }, [['b', 2]])).toEqual([new Map([['a', 1]]), new Map([['b', 2]])])
  expect(through(new Binary(), Buffer.from('a'))).toEqual([Uint8Array.of(97)])
})

const int32s = new List(new Field('item', new Int32(), false))

test.each<[string, DataType, unknown]>([
  ['1.5 is no int32', new Int32(), 1.5],
  ['2147483648 is no int32', new Int32(), 2 ** 31],
  ['-1 is no uint8', new Uint8(), -1],
  ['"1" is no int32', new Int32(), '1'],
  ['5n is no int32', new Int32(), 5n],
  ['9223372036854775808n is no int64', new Int64(), 2n ** 63n],
  ['9007199254740992 is no int64', new Int64(), 2 ** 53],
  ['1e+39 is beyond float32', new Float32(), 1e39],
  ['"0.005" is no decimal(4, 2)', new Decimal(2, 4), '0.005'],
  ['100 is no decimal(4, 2)', new Decimal(2, 4), 100],
  ['"abc" is no decimal(4, 2)', new Decimal(2, 4), 'abc'],
  ['5 is no string', new Utf8(), 5],
  ['"a" is no Uint8Array', new Binary(), 'a'],
  ['2024-02-29T01:00:00.000Z is no whole day', new DateDay(), new Date('2024-02-29T01:00:00Z')],
  ['Invalid Date is no whole day', new DateDay(), new Date('x')],
  ['1970-01-01T00:00:00.001Z is no Timestamp<SECOND>', new TimestampSecond(), new Date(1)],
  ['5 is no Timestamp<SECOND>', new TimestampSecond(), 5],
  ['a list of 3, where each has 2', new FixedSizeList(2, new Field('item', new Float32())), [1, 2, 3]],
  ['"ab" is no list', int32s, 'ab'],
  ['"x" is no int32', int32s, [1, 'x']],
  ['null, and the column may hold none', int32s, [1, null]],
])('%s', (message, type, value) => {
  const before = type === int32s ? [[1, 2], [], [3]] : [null, null, null]
  const bad = [...before, value, null].map((x) => ({ x }))
  expect(() => tableFromRows(bad, one(type))).toThrow(`row 3, column "x": ${message}`)
})

test('a null where the column may hold none', () => {
  expect(() => tableFromRows([{ x: 1 }, { x: null }], one(new Int32(), false))).toThrow(
    'row 1, column "x": null, and the column may hold none',
  )
  expect(() => tableFromRows([{}], one(new Int32(), false))).toThrow(expect.objectContaining({ code: 'INVALID_VALUE' }))
})

test('a struct that is null asks nothing of its fields', () => {
  const struct = new Struct([new Field('a', new Int32(), false)])
  expect(through(struct, null, { a: 1 })).toEqual([null, { a: 1 }])
  expect(() => through(struct, { a: 1 }, {})).toThrow('row 1, column "x": null')
})

test('a dictionary with too small an index', () => {
  const values = Array.from({ length: 129 }, (_, i) => ({ x: `${i}` }))
  const schema = one(new Dictionary(new Utf8(), new Int8()))
  expect(() => tableFromRows(values, schema)).toThrow('row 128, column "x": more than 128 different values')
  expect(tableToRows(tableFromRows(values.slice(0, 128), schema))).toEqual(values.slice(0, 128))
})

test('types without a JavaScript value, names given twice', () => {
  const interval = new Table({ x: vectorFromArray([Int32Array.of(1, 2)], new IntervalYearMonth()) })
  expect(() => tableToRows(interval)).toThrow('column "x" of type Interval<YEAR_MONTH> has no JavaScript values')
  const twice = new Schema([new Field('x', new Int32()), new Field('x', new Int32())])
  const column = makeData({ type: new Int32(), data: Int32Array.of(1) })
  const data = makeData({ type: new Struct(twice.fields), children: [column, column], length: 1, nullCount: 0 })
  expect(() => tableToRows(new Table(twice, [new RecordBatch(twice, data)]))).toThrow('two columns are named "x"')
})

test('float16 rounds to the nearest, halves to even, for every one of them', () => {
  const wrong: number[] = []
  for (let bits = 0; bits < 65536; bits++) {
    const value = float16(bits)
    if (!Number.isNaN(value) && float16Bits(value) !== bits) wrong.push(bits)
    if ((bits & 0x7fff) >= 0x7bff) continue
    const middle = (value + float16(bits + 1)) / 2
    if (float16Bits(middle) !== (bits % 2 === 0 ? bits : bits + 1)) wrong.push(bits)
    if (float16Bits(middle + (value - middle) * 1e-3) !== bits) wrong.push(bits)
  }
  expect(wrong).toEqual([])
})
