// A schema with every type of docs/datasets.md, and rows for it.
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  DurationMicrosecond,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeBinary,
  LargeUtf8,
  List,
  Map_,
  Null,
  Schema,
  Struct,
  TimeMicrosecond,
  TimeSecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Utf8View,
} from 'apache-arrow'

const field = (name: string, type: DataType, nullable = true) => new Field(name, type, nullable)
const item = (type: DataType) => field('item', type)

const day = (text: string) => new Date(`${text}T00:00:00Z`)

/** Of each type, the values at its limits among others. */
const columns: [string, DataType, unknown[]][] = [
  ['null', new Null(), []],
  ['bool', new Bool(), [true, false]],
  ['int8', new Int8(), [-128, 0, 127]],
  ['int16', new Int16(), [-32768, 32767]],
  ['int32', new Int32(), [-(2 ** 31), 2 ** 31 - 1]],
  ['int64', new Int64(), [-(2n ** 63n), 2n ** 63n - 1n, 0n]],
  ['uint8', new Uint8(), [0, 255]],
  ['uint16', new Uint16(), [0, 65535]],
  ['uint32', new Uint32(), [0, 2 ** 32 - 1]],
  ['uint64', new Uint64(), [0n, 2n ** 64n - 1n]],
  ['float16', new Float16(), [0.5, -65504, 2 ** -24, Number.NEGATIVE_INFINITY]],
  ['float32', new Float32(), [Math.fround(0.1), -3.4028234663852886e38, Number.NaN]],
  ['float64', new Float64(), [0.1, Number.MAX_VALUE, Number.POSITIVE_INFINITY, -0]],
  ['decimal', new Decimal(2, 10), ['12.30', '-0.05', '99999999.99', '0.00']],
  ['wideDecimal', new Decimal(0, 38), ['99999999999999999999999999999999999999', '-1', '18446744073709551616']],
  ['decimal256', new Decimal(20, 70, 256), [`${'9'.repeat(50)}.${'9'.repeat(20)}`, '-0.00000000000000000001']],
  ['utf8', new Utf8(), ['', 'a', 'naïve 🦜', 'longer than twelve bytes']],
  ['largeUtf8', new LargeUtf8(), ['', 'ß', 'longer than twelve bytes']],
  ['utf8View', new Utf8View(), ['', 'twelve bytes', 'thirteen byte', '🦜'.repeat(9)]],
  ['binary', new Binary(), [new Uint8Array(0), Uint8Array.of(0, 255)]],
  ['largeBinary', new LargeBinary(), [Uint8Array.of(1), new Uint8Array(0)]],
  ['fixedBinary', new FixedSizeBinary(3), [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)]],
  ['date', new DateDay(), [day('1970-01-01'), day('1582-10-15'), day('2024-02-29')]],
  ['dateMs', new DateMillisecond(), [day('2024-02-29')]],
  ['timeS', new TimeSecond(), [0, 86399]],
  ['timeUs', new TimeMicrosecond(), [86_399_999_999n]],
  ['timestampS', new TimestampSecond('UTC'), [new Date('2024-02-29T12:34:56Z'), new Date(-1000)]],
  ['timestampMs', new TimestampMillisecond(), [new Date('2024-02-29T12:34:56.789Z')]],
  ['timestampUs', new TimestampMicrosecond('Europe/Paris'), [1_709_210_096_789_123n, -1n]],
  ['timestampNs', new TimestampNanosecond('+02:00'), [1_709_210_096_789_123_456n]],
  ['duration', new DurationMicrosecond(), [-5n, 5n]],
  ['list', new List(item(new Int32())), [[], [1], [1, null, 3]]],
  ['listOfText', new List(item(new Utf8View())), [['thirteen byte', null], [], ['a', 'thirteen bytes']]],
  ['lists', new List(item(new List(item(new Bool())))), [[[true], [], null], [], [[false, null]]]],
  [
    'vector',
    new FixedSizeList(2, item(new Float32())),
    [
      [1.5, -2],
      [0, null],
    ],
  ],
  [
    'struct',
    new Struct([field('a', new Int32(), false), field('b', new Struct([field('c', new Utf8())]))]),
    [
      { a: 1, b: { c: 'x' } },
      { a: 2, b: null },
      { a: 3, b: { c: null } },
    ],
  ],
  ['structs', new List(item(new Struct([field('x', new Decimal(1, 5))]))), [[{ x: '1.5' }, null], []]],
  [
    'map',
    new Map_(
      field('entries', new Struct([field('key', new Utf8(), false), field('value', new Int64())]), false) as never,
    ),
    [
      new Map([
        ['a', 1n],
        ['b', null],
      ]),
      new Map(),
    ],
  ],
  ['dictionary', new Dictionary(new Utf8(), new Int32()), ['x', 'y', 'x', '']],
  ['smallDictionary', new Dictionary(new Int64(), new Uint8()), [5n, 6n, 5n]],
  ['otherDictionary', new Dictionary(new Utf8(), new Int32()), ['p', 'q']],
]

/** Every type, each column nullable. */
export const allTypes: Schema = new Schema(columns.map(([name, type]) => field(name, type)))

/** Rows with every value of each type, and nulls at places of their own in each column. */
export function allTypesRows(count: number): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(
      columns.map(([name, , values], column) => [
        name,
        values.length === 0 || (row * 7 + column) % 5 === 0 ? null : values[(row + column) % values.length],
      ]),
    ),
  )
}
