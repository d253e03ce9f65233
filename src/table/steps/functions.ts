// What a user's functions over tables become.
import { type DataType, Field, Schema, Table, type Vector } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { callOn } from '../../native.ts'
import { Batch } from '../batch.ts'
import { allNullable, conform, recordBatch } from '../schema.ts'
import type { Transform } from './transform.ts'

type Awaitable<T> = T | Promise<T>

export type TableFunction = (table: Table) => Awaitable<Table>
export type TablesFunction = (table: Table) => Iterable<Table> | AsyncIterable<Table>
/** Which rows to keep: a value for each row, kept where it is true (or not 0); or the table with those rows. */
export type FilterFunction = (table: Table) => Awaitable<Table | RowMask>
export type RowMask = ArrayLike<boolean | number | null> | Vector
export type ColumnFunction = (table: Table) => Awaitable<Vector>

/** A table that a function gave, under the schema that those before it had. */
export function checked(made: unknown, given: Schema | undefined, learn: (schema: Schema) => Schema): Batch {
  if (!isTable(made)) throw new NighError('FUNCTION_FAILED', `the function gave ${kind(made)}, not a table`)
  return Batch.ofTable(conform(made, learn(given ?? allNullable(made.schema)), 'the table that the function gave'))
}

export function mapping(fn: TableFunction, schema: Schema | undefined): Transform {
  return {
    name: 'map',
    seesTables: true,
    schema: () => schema,
    async *apply(batch, learn) {
      yield checked(await fn(await batch.table()), schema, learn)
    },
  }
}

export function flatMapping(fn: TablesFunction, schema: Schema | undefined): Transform {
  return {
    name: 'flatMap',
    seesTables: true,
    schema: () => schema,
    async *apply(batch, learn) {
      for await (const made of fn(await batch.table())) yield checked(made, schema, learn)
    },
  }
}

/** The rows that a function keeps, taken in native memory. */
export function filteringBy(fn: FilterFunction): Transform {
  return {
    name: 'filter',
    seesTables: true,
    schema: (input) => input,
    async *apply(batch, learn) {
      const table = await batch.tableBeside()
      const kept = await fn(table)
      const schema = learn(table.schema)
      if (isTable(kept)) {
        yield Batch.ofTable(conform(kept, schema, 'the table that the function gave'))
        return
      }
      const rows = rowsOf(kept, table.numRows)
      if (rows.length === table.numRows) yield batch
      else if (rows.length === 0) yield batch.slice(0, 0)
      else {
        const native = await batch.native()
        yield Batch.ofNative(await callOn(() => native.take(rows)))
      }
    },
  }
}

function rowsOf(mask: RowMask, numRows: number): Uint32Array {
  if (mask?.length !== numRows) {
    throw new NighError('FUNCTION_FAILED', `the function gave ${kind(mask)}, not a value for each of ${numRows} rows`)
  }
  const rows = new Uint32Array(numRows)
  let count = 0
  const at =
    'get' in mask && typeof mask.get === 'function' ? (i: number) => mask.get(i) : (i: number) => (mask as [])[i]
  for (let i = 0; i < numRows; i++) if (at(i)) rows[count++] = i
  return rows.subarray(0, count)
}

/** A column more, or another in its place. */
export function addingColumn(name: string, fn: ColumnFunction, type: DataType | undefined): Transform {
  const added = (input: Schema, type: DataType): Schema => {
    const field = new Field(name, type, true)
    const at = input.fields.findIndex((other) => other.name === name)
    const fields = at < 0 ? [...input.fields, field] : input.fields.with(at, field)
    return new Schema(fields, input.metadata)
  }
  return {
    name: `withColumn ${JSON.stringify(name)}`,
    seesTables: true,
    schema: (input) => type && added(input, type),
    async *apply(batch, learn) {
      const table = await batch.table()
      const vector = await fn(table)
      if (!isVector(vector)) throw new NighError('FUNCTION_FAILED', `the function gave ${kind(vector)}, not a Vector`)
      if (vector.length !== table.numRows) {
        throw new NighError('FUNCTION_FAILED', `the function gave ${vector.length} values for ${table.numRows} rows`)
      }
      const made = added(table.schema, vector.type)
      yield Batch.ofTable(
        conform(withVector(table, made, name, vector), learn(made), 'the column that the function gave'),
      )
    },
  }
}

/** Its record batches are those of the table: the vector is cut where they end. */
function withVector(table: Table, schema: Schema, name: string, vector: Vector): Table {
  const at = schema.fields.findIndex((field) => field.name === name)
  let first = 0
  const batches = table.batches.flatMap((batch) => {
    let offset = 0
    const parts = vector.slice(first, first + batch.numRows).data
    first += batch.numRows
    return parts
      .filter((part) => part.length > 0)
      .map((part) => {
        const children = batch.slice(offset, offset + part.length).data.children.slice()
        children[at] = part
        offset += part.length
        return recordBatch(schema, children, part.length)
      })
  })
  return new Table(schema, batches)
}

// By shape, not by class: the caller may have an apache-arrow of its own.
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && 'schema' in value && 'batches' in value
}

function isVector(value: unknown): value is Vector {
  return typeof value === 'object' && value !== null && 'type' in value && 'data' in value && 'get' in value
}

function kind(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value)
  return 'length' in value ? `${value.constructor.name} of ${value.length}` : `a ${value.constructor?.name ?? 'object'}`
}
