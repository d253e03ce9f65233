// Tables to measure on: seeded, made where they are needed.
import { Field, FixedSizeList, Float32, Int64, makeData, Schema, Table, Vector } from 'apache-arrow'

export const schemaOf = (dim: number): Schema =>
  new Schema([
    new Field('id', new Int64(), false),
    new Field('vector', new FixedSizeList(dim, new Field('item', new Float32(), false)), false),
  ])

/** Rows with consecutive ids and vectors of whole numbers below 256. */
export function vectorTable(first: number, rows: number, dim: number): Table {
  const values = new Float32Array(rows * dim)
  let state = first + 1
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    values[i] = state >>> 24
  }
  const type = new FixedSizeList(dim, new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: values })
  const id = makeData({ type: new Int64(), data: BigInt64Array.from({ length: rows }, (_, i) => BigInt(first + i)) })
  const vector = makeData({ type, child, length: rows, nullCount: 0 })
  return new Table(schemaOf(dim), { id: new Vector([id]), vector: new Vector([vector]) })
}

export function* vectorTables(first: number, rows: number, dim: number, each = 50_000): Generator<Table> {
  for (let at = 0; at < rows; at += each) yield vectorTable(first + at, Math.min(each, rows - at), dim)
}
