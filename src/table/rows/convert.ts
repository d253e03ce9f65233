import { type Field, makeData, RecordBatch, type Schema, Struct, Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { BadValue } from './bad-value.ts'
import { decodeVector } from './decode.ts'
import { encode } from './encode.ts'

/** A row: the value of each column by its name. docs/datasets.md has the JavaScript value of each Arrow type. */
export type Row = Record<string, unknown>

/**
 * A table of rows, in one record batch. A missing property is null; properties that the schema does not have are left out.
 * INVALID_VALUE, naming row and column, for what a column cannot hold: null where it is not nullable, a number out of range,
 * a decimal that would have to be rounded.
 */
export function tableFromRows(rows: readonly Row[], schema: Schema): Table {
  const children = schema.fields.map((field) => {
    try {
      return encode(
        field,
        rows.map((row) => row[field.name]),
      )
    } catch (error) {
      if (!(error instanceof BadValue)) throw error
      const column = JSON.stringify(field.name)
      throw new NighError('INVALID_VALUE', `row ${error.index}, column ${column}: ${error.message}`, { cause: error })
    }
  })
  const data = makeData({ type: new Struct(schema.fields), length: rows.length, nullCount: 0, children })
  return new Table(schema, [new RecordBatch(schema, data)])
}

/** The rows of a table. COLUMN_CONFLICT if two columns have one name, COLUMN_TYPE for unions and intervals. */
export function tableToRows(table: Table): Row[] {
  const names = table.schema.fields.map((field: Field) => field.name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) {
    throw new NighError('COLUMN_CONFLICT', `two columns are named ${JSON.stringify(twice)}: a row can hold one`)
  }
  const rows: Row[] = Array.from({ length: table.numRows }, () => ({}))
  for (const [index, name] of names.entries()) {
    const values = decodeVector(table.getChildAt(index)!, name)
    for (let i = 0; i < rows.length; i++) rows[i]![name] = values[i]
  }
  return rows
}
