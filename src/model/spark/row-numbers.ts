// Numbers of the rows of a whole table, as a column of it: what tells rows apart in every task, whatever their ids.
import { Field, Int64, makeData, Schema, Table, type Vector } from 'apache-arrow'
import { recordBatch } from '../../table/schema.ts'

export const ROW = '__nigh_row'

/** The table with a column of row numbers from `first` on; also as its ids, where those are row numbers. */
export function withRowNumbers(table: Table, first: number, idCol?: string): Table {
  const names = idCol === undefined ? [ROW] : [ROW, idCol]
  const schema = new Schema([...names.map((name) => new Field(name, new Int64(), false)), ...table.schema.fields])
  let row = first
  const batches = table.batches.map((batch) => {
    // Each column has numbers of its own: a writer would write shared ones once.
    const numbers = names.map(() => makeData({ type: new Int64(), data: numbersFrom(row, batch.numRows) }))
    row += batch.numRows
    return recordBatch(schema, [...numbers, ...batch.data.children], batch.numRows)
  })
  return new Table(schema, batches)
}

/** By halves: bigints are slow to make. */
function numbersFrom(first: number, count: number): BigInt64Array {
  const halves = new Int32Array(count * 2)
  for (let i = 0; i < count; i++) {
    halves[2 * i] = (first + i) | 0
    halves[2 * i + 1] = Math.floor((first + i) / 2 ** 32)
  }
  return new BigInt64Array(halves.buffer)
}

/** The row numbers of a table that has them. */
export function rowNumbers(table: Table): Float64Array {
  const out = new Float64Array(table.numRows)
  const column = table.getChild(ROW) as Vector<Int64>
  let at = 0
  for (const { values, length, offset } of column.data) {
    const all = values as BigInt64Array
    const skip = all.length > length ? offset : 0
    const halves = new Int32Array(all.buffer, all.byteOffset + 8 * skip, 2 * length)
    for (let i = 0; i < length; i++) out[at + i] = halves[2 * i + 1]! * 2 ** 32 + (halves[2 * i]! >>> 0)
    at += length
  }
  return out
}
