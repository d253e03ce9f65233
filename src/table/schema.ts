// Schemas beyond what apache-arrow compares: by name and type, whatever ids dictionaries got and whatever is nullable.
import {
  type Data,
  type DataType,
  Dictionary,
  Field,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  Type,
} from 'apache-arrow'
import { NighError } from '../errors.ts'

/** A type as text; equal texts are equal types. apache-arrow leaves the width of decimals out. */
export function typeText(type: DataType): string {
  const width = type.typeId === Type.Decimal ? `:${(type as unknown as { bitWidth: number }).bitWidth}` : ''
  if (type.typeId === Type.Dictionary) {
    return `Dictionary<${typeText((type as Dictionary).indices)}, ${typeText((type as Dictionary).dictionary)}>`
  }
  const children = type.children ?? []
  if (children.length === 0) return `${type}${width}`
  // A list's item has many names; a struct's fields have theirs.
  const named = type.typeId === Type.Struct
  const inner = children.map((field) => `${named ? `${field.name}:` : ''}${typeText(field.type)}`).join(', ')
  const size = type.typeId === Type.FixedSizeList ? `[${(type as unknown as { listSize: number }).listSize}]` : ''
  return `${Type[type.typeId]}${size}<${inner}>`
}

/** What differs between two schemas, naming the column and both types; undefined where they have the same columns. */
export function difference(actual: Schema, expected: Schema): string | undefined {
  for (const [i, field] of expected.fields.entries()) {
    const other = actual.fields[i]
    const column = JSON.stringify(field.name)
    if (other?.name !== field.name) {
      const instead = other ? `column ${JSON.stringify(other.name)} stands` : 'nothing stands'
      return `${instead} where column ${column} should`
    }
    if (typeText(other.type) !== typeText(field.type)) return `column ${column} is ${other.type}, not ${field.type}`
  }
  const extra = actual.fields[expected.fields.length]
  return extra && `column ${JSON.stringify(extra.name)} is one too many`
}

/**
 * A table under a schema: the same columns, no copy. SCHEMA_MISMATCH, its message beginning with `where`, if a column has another
 * name or type, or is null where the schema has it not nullable.
 */
export function conform(table: Table, schema: Schema, where: string): Table {
  if (table.schema === schema) return table
  const wrong = difference(table.schema, schema) ?? unexpectedNull(table, schema)
  if (wrong !== undefined) throw new NighError('SCHEMA_MISMATCH', `${where}: ${wrong}`)
  return retyped(table, schema)
}

function unexpectedNull(table: Table, schema: Schema): string | undefined {
  for (const [i, field] of schema.fields.entries()) {
    if (field.nullable || table.batches.every((batch) => batch.data.children[i]!.nullCount === 0)) continue
    return `column ${JSON.stringify(field.name)} has nulls, and the schema says it has none`
  }
  return undefined
}

/** The same columns under another schema of the same types. */
export function retyped(table: Table, schema: Schema): Table {
  const batches = table.batches.map((batch) => {
    const children = batch.data.children.map((child, i) => withType(child, schema.fields[i]!.type))
    return recordBatch(schema, children, batch.numRows)
  })
  return new Table(schema, batches)
}

/** Some columns of a table, by number, under their schema. */
export function columnsOf(table: Table, schema: Schema, indices: readonly number[]): Table {
  const batches = table.batches.map((batch) =>
    recordBatch(
      schema,
      indices.map((i, at) => withType(batch.data.children[i]!, schema.fields[at]!.type)),
      batch.numRows,
    ),
  )
  return new Table(schema, batches)
}

/** Some columns of a schema, in the order given. COLUMN_NOT_FOUND, or COLUMN_CONFLICT if one is named twice. */
export function selected(schema: Schema, columns: readonly string[]): Schema {
  const fields = columns.map((name, i) => {
    const field = schema.fields.find((other) => other.name === name)
    if (!field) throw columnNotFound(schema, name)
    if (columns.indexOf(name) !== i) {
      throw new NighError('COLUMN_CONFLICT', `column ${JSON.stringify(name)} is selected twice`)
    }
    return field
  })
  return new Schema(fields, schema.metadata)
}

export function columnNotFound(schema: Schema, name: string): NighError {
  const names = schema.fields.map((field) => field.name).join(', ')
  return new NighError('COLUMN_NOT_FOUND', `no column ${JSON.stringify(name)}: there are ${names || 'none'}`)
}

/** A record batch of columns of equal length. */
export function recordBatch(schema: Schema, children: Data[], length: number): RecordBatch {
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }))
}

function withType(data: Data, type: DataType): Data {
  if (data.type === type) return data
  const children = data.children.map((child, i) => withType(child, type.children[i]!.type))
  return data.clone(type, data.offset, data.length, undefined, undefined, children)
}

/** The schema that tables of a function have: one table cannot tell whether the next has nulls. */
export function allNullable(schema: Schema): Schema {
  const fields = schema.fields.map((field) => (field.nullable ? field : field.clone({ nullable: true })))
  return new Schema(fields, schema.metadata)
}

/** The first schema, its columns nullable where those of the second are. */
export function withNullable(schema: Schema, other: Schema): Schema {
  const fields = schema.fields.map((field, i) =>
    other.fields[i]!.nullable && !field.nullable ? field.clone({ nullable: true }) : field,
  )
  return new Schema(fields, schema.metadata)
}

/** A table without rows. */
export function emptyTable(schema: Schema): Table {
  return new Table(schema, [])
}

/** Dictionaries of different columns under different ids: IPC knows them by id. */
export function withOwnDictionaries(schema: Schema): Schema {
  const seen = new Set<number>()
  let changed = false
  const fresh = (type: DataType): DataType => {
    if (type.typeId !== Type.Dictionary) {
      for (const child of type.children ?? []) if (fresh(child.type) !== child.type) throw nestedDictionary(child.name)
      return type
    }
    const dictionary = type as Dictionary
    if (!seen.has(dictionary.id)) {
      seen.add(dictionary.id)
      return type
    }
    changed = true
    return new Dictionary(dictionary.dictionary, dictionary.indices, null, dictionary.isOrdered)
  }
  const fields = schema.fields.map((field) => new Field(field.name, fresh(field.type), field.nullable, field.metadata))
  return changed ? new Schema(fields, schema.metadata) : schema
}

function nestedDictionary(name: string): NighError {
  return new NighError('COLUMN_TYPE', `two dictionaries within ${JSON.stringify(name)} have one id: give each its own`)
}
