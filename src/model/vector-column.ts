// Columns of vectors within Arrow tables: lists of float32 or float64, of any or of one length, and the vector struct of Spark
// ML. Whole columns as typed arrays; rows never become objects.
import {
  Field as ArrowField,
  Table as ArrowTable,
  type Data,
  DataType,
  type Field,
  FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  type Table,
} from 'apache-arrow'
import { NighError } from '../errors.ts'

/** The forms of vectors that users of Spark know: `vector` is Spark ML's, dense or sparse. */
export type VectorForm = 'array<float>' | 'array<double>' | 'vector'
export const VECTOR_FORMS: readonly VectorForm[] = ['array<float>', 'array<double>', 'vector']

type Floats = Float32Array | Float64Array

/**
 * The numbers of a column's rows: those of row `i` are `values[starts[i] .. starts[i + 1]]`. Null rows have none, but for those
 * of a type of one length: there they have as many as the others, of no meaning.
 */
export interface Rows {
  starts: Int32Array
  values: Floats
  /** Bits of the rows that are not null; all of them are if absent. */
  validity: Uint8Array | undefined
  nulls: number
}

const SPARK = ['type', 'size', 'indices', 'values']

/** The form of a column. Errors: COLUMN_NOT_FOUND, COLUMN_TYPE. */
export function formOf(schema: Schema, column: string): VectorForm {
  const field = schema.fields.find(({ name }) => name === column)
  if (!field) {
    const names = schema.fields.map(({ name }) => name).join(', ')
    throw new NighError('COLUMN_NOT_FOUND', `there is no column "${column}"; the columns are: ${names}`)
  }
  const { type } = field
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const element = type.children[0]!.type
    if (DataType.isFloat(element) && element.precision === 1) return 'array<float>'
    if (DataType.isFloat(element) && element.precision === 2) return 'array<double>'
  }
  if (DataType.isStruct(type) && SPARK.every((name, i) => type.children[i]?.name === name)) return 'vector'
  throw wrongType(field)
}

function wrongType({ name, type }: Field): NighError {
  const text = `column "${name}" has type ${type}, which is no vector: list<float32>, list<float64>, their fixed-size forms, or Spark ML's vector struct`
  return new NighError('COLUMN_TYPE', text)
}

/** A table with one more column, made batch by batch. Error COLUMN_CONFLICT if it has the column already. */
export function withColumn(
  table: Table,
  input: string,
  output: string,
  make: (data: Data, field: Field) => Data,
): Table {
  formOf(table.schema, input)
  if (table.schema.names.includes(output)) {
    throw new NighError('COLUMN_CONFLICT', `there is a column "${output}" already: name another output column`)
  }
  const at = table.schema.names.indexOf(input)
  const field = table.schema.fields[at]!
  const made = table.batches.map((batch) => make(batch.data.children[at]!, field))
  const type = (made[0] ?? make(makeData({ type: field.type, length: 0 } as never), field)).type
  const schema = new Schema(
    [...table.schema.fields, new ArrowField(output, type, field.nullable)],
    table.schema.metadata,
  )
  const batches = table.batches.map((batch, i) => {
    const children = [...batch.data.children, made[i]!]
    return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: batch.numRows, children }))
  })
  return new ArrowTable(schema, batches)
}

/** The list of numbers that a chunk stores: the chunk itself, or the values of Spark's struct. */
export function stored(data: Data): Data {
  return DataType.isStruct(data.type) ? data.children[3]! : data
}

/** The stored numbers of each row: of sparse vectors those that are there. Error NULL_VECTOR for a null among them. */
export function storedRows(data: Data, column: string): Rows {
  const list = stored(data)
  const { length } = data
  const child = list.children[0]!
  const starts = new Int32Array(length + 1)
  const validity = data.nullCount > 0 ? new Uint8Array((length + 7) >> 3) : undefined
  const fixed = DataType.isFixedSizeList(list.type) ? list.type.listSize : undefined
  const offsets = list.valueOffsets as Int32Array
  let [end, contiguous, first] = [0, true, fixed === undefined ? (offsets?.[0] ?? 0) : 0]
  const begin = (row: number) => (fixed === undefined ? offsets[row]! : row * fixed)
  for (let row = 0; row < length; row++) {
    const valid = data.getValid(row)
    if (validity && valid) validity[row >> 3]! |= 1 << (row & 7)
    const count = fixed ?? (valid ? offsets[row + 1]! - offsets[row]! : 0)
    if (end === 0) first = begin(row)
    else if (count > 0 && begin(row) !== first + end) contiguous = false
    end += count
    starts[row + 1] = end
  }
  const source = child.values as Floats
  let values: Floats = source.subarray(first, first + end)
  if (!contiguous) {
    values = source instanceof Float32Array ? new Float32Array(end) : new Float64Array(end)
    for (let row = 0; row < length; row++) {
      const count = starts[row + 1]! - starts[row]!
      values.set(source.subarray(begin(row), begin(row) + count), starts[row]!)
    }
  }
  if (child.nullCount > 0) refuseNulls(data, child, starts, begin, column)
  return { starts, values, validity, nulls: data.nullCount }
}

function refuseNulls(
  data: Data,
  child: Data,
  starts: Int32Array,
  begin: (row: number) => number,
  column: string,
): void {
  for (let row = 0; row + 1 < starts.length; row++) {
    if (!data.getValid(row)) continue
    for (let i = begin(row); i < begin(row) + starts[row + 1]! - starts[row]!; i++) {
      if (!child.getValid(i)) throw new NighError('NULL_VECTOR', `column "${column}": a number in row ${row} is null`)
    }
  }
}

/** All numbers of each row: sparse vectors of Spark get their zeros. */
export function denseRows(data: Data, column: string): Rows {
  const rows = storedRows(data, column)
  if (!DataType.isStruct(data.type)) return rows
  const [types, sizes, indices] = data.children as [Data, Data, Data]
  const { length } = data
  const sparse = (row: number) => data.getValid(row) && types.values[row] === 0
  if (!Array.from({ length }, (_, row) => row).some(sparse)) return rows
  const starts = new Int32Array(length + 1)
  for (let row = 0; row < length; row++) {
    starts[row + 1] = starts[row]! + (sparse(row) ? sizes.values[row] : rows.starts[row + 1]! - rows.starts[row]!)
  }
  const values = new Float64Array(starts[length]!)
  for (let row = 0; row < length; row++) {
    const own = rows.values.subarray(rows.starts[row]!, rows.starts[row + 1]!)
    if (!sparse(row)) values.set(own, starts[row]!)
    else {
      const at = indices.valueOffsets[row]!
      for (let i = 0; i < own.length; i++) {
        const index = indices.children[0]!.values[at + i]
        if (!(index >= 0 && index < sizes.values[row])) {
          const text = `column "${column}": row ${row} has index ${index} in a vector of size ${sizes.values[row]}`
          throw new NighError('INVALID_VECTOR', text)
        }
        values[starts[row]! + index] = own[i]!
      }
    }
  }
  return { ...rows, starts, values }
}

/** A chunk of vectors in a form. Of one length where the input's type says so. */
export function vectorData(form: VectorForm, rows: Rows, fixed: number | undefined): Data {
  const { starts, validity, nulls } = rows
  const length = starts.length - 1
  const nullable = { length, nullCount: nulls, nullBitmap: validity ?? null }
  const values = form === 'array<float>' ? asFloat32(rows.values) : asFloat64(rows.values)
  const numbers = values instanceof Float32Array ? new Float32() : new Float64()
  const element = new ArrowField('element', numbers, false)
  const child = makeData({ type: numbers, data: values } as never) as Data
  if (form !== 'vector') {
    if (fixed === undefined) {
      return makeData({ type: new List(element), valueOffsets: starts, child, ...nullable } as never)
    }
    return makeData({ type: new FixedSizeList(fixed, element), child, ...nullable } as never)
  }
  const list = makeData({ type: new List(element), length, nullCount: 0, valueOffsets: starts, child } as never) as Data
  const none = { length, nullCount: length, nullBitmap: new Uint8Array((length + 7) >> 3) }
  const empty = makeData({ type: new Int32(), data: new Int32Array() })
  const children: Data[] = [
    makeData({ type: new Int8(), data: new Int8Array(length).fill(1) }),
    makeData({ type: new Int32(), data: new Int32Array(length), ...none }),
    makeData({
      type: new List(new ArrowField('element', new Int32(), false)),
      valueOffsets: new Int32Array(length + 1),
      child: empty,
      ...none,
    }),
    list,
  ]
  const fields = children.map(({ type }, i) => new ArrowField(SPARK[i]!, type, i === 1 || i === 2))
  return makeData({ type: new Struct(fields), children, ...nullable } as never)
}

const asFloat32 = (values: Floats) => (values instanceof Float32Array ? values : Float32Array.from(values))
const asFloat64 = (values: Floats) => (values instanceof Float64Array ? values : Float64Array.from(values))

/** A chunk with other stored numbers in the places of those it has. */
export function withStored(data: Data, { starts, validity, nulls }: Rows, values: Floats): Data {
  const list = stored(data)
  const { length } = data
  const numbers = values instanceof Float32Array ? new Float32() : new Float64()
  const child = makeData({ type: numbers, data: values } as never) as Data
  const element = new ArrowField('element', numbers, false)
  const nullable = { length, nullCount: nulls, nullBitmap: validity ?? null }
  if (!DataType.isStruct(data.type)) {
    if (DataType.isFixedSizeList(list.type)) {
      return makeData({ type: new FixedSizeList(list.type.listSize, element), child, ...nullable } as never)
    }
    return makeData({ type: new List(element), valueOffsets: starts, child, ...nullable } as never)
  }
  const replaced = makeData({
    type: new List(element),
    length,
    nullCount: 0,
    valueOffsets: starts,
    child,
  } as never) as Data
  const children = [...data.children.slice(0, 3), replaced]
  const fields = data.type.children.map((field: Field, i: number) =>
    i === 3 ? new ArrowField(field.name, replaced.type, field.nullable) : field,
  )
  return makeData({ type: new Struct(fields), children, ...nullable } as never)
}
