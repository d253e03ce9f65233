// Spark's types as text: the DDL that Spark reads, and the JSON that its Python workers read.
import { NighError } from '../../../errors.ts'
import type { DataType } from './gen/spark_pb.ts'
import { quoted } from './relations.ts'

export interface SparkField {
  name: string
  type: DataType
  nullable: boolean
}

const PLAIN: Record<string, string> = {
  null: 'void',
  binary: 'binary',
  boolean: 'boolean',
  byte: 'tinyint',
  short: 'smallint',
  integer: 'int',
  long: 'bigint',
  float: 'float',
  double: 'double',
  string: 'string',
  date: 'date',
  timestamp: 'timestamp',
  timestampNtz: 'timestamp_ntz',
  variant: 'variant',
}

/** Names that the JSON form has for what DDL calls otherwise. */
const JSON_NAMES: Record<string, string> = { byte: 'byte', short: 'short', integer: 'integer', long: 'long' }

export function fieldsOf(type: DataType): SparkField[] {
  if (type.kind.case !== 'struct') throw new NighError('SPARK_FAILED', `not rows but values of ${ddlOf(type)}`)
  return type.kind.value.fields.map(({ name, dataType, nullable }) => ({ name, type: dataType!, nullable }))
}

/** `name TYPE, ...` */
export function schemaDdl(fields: readonly SparkField[]): string {
  return fields
    .map(({ name, type, nullable }) => `${quoted(name)} ${ddlOf(type)}${nullable ? '' : ' NOT NULL'}`)
    .join(', ')
}

export function ddlOf(type: DataType): string {
  const { kind } = type
  switch (kind.case) {
    case 'decimal':
      return `decimal(${kind.value.precision ?? 10},${kind.value.scale ?? 0})`
    case 'char':
    case 'varChar':
      return 'string'
    case 'array':
      return `array<${ddlOf(kind.value.elementType!)}>`
    case 'map':
      return `map<${ddlOf(kind.value.keyType!)},${ddlOf(kind.value.valueType!)}>`
    case 'struct': {
      const fields = kind.value.fields.map(
        ({ name, dataType, nullable }) => `${quoted(name)}:${ddlOf(dataType!)}${nullable ? '' : ' NOT NULL'}`,
      )
      return `struct<${fields.join(',')}>`
    }
    case 'udt':
      return kind.value.sqlType ? ddlOf(kind.value.sqlType) : kind.value.type
    default: {
      const name = kind.case && PLAIN[kind.case]
      if (name === undefined) throw new NighError('COLUMN_TYPE', `Arrow has no type for ${kind.case} of Spark`)
      return name
    }
  }
}

/** The schema as `pyspark.sql.types` reads it. */
export function schemaJson(type: DataType): string {
  return JSON.stringify(jsonOf(type))
}

function jsonOf(type: DataType): unknown {
  const { kind } = type
  switch (kind.case) {
    case 'array': {
      const { elementType, containsNull } = kind.value
      return { type: 'array', elementType: jsonOf(elementType!), containsNull }
    }
    case 'map': {
      const { keyType, valueType, valueContainsNull } = kind.value
      return { type: 'map', keyType: jsonOf(keyType!), valueType: jsonOf(valueType!), valueContainsNull }
    }
    case 'struct': {
      const fields = kind.value.fields.map(({ name, dataType, nullable }) => ({
        name,
        type: jsonOf(dataType!),
        nullable,
        metadata: {},
      }))
      return { type: 'struct', fields }
    }
    case 'udt':
      return kind.value.sqlType ? jsonOf(kind.value.sqlType) : kind.value.type
    default:
      return (kind.case && JSON_NAMES[kind.case]) ?? ddlOf(type)
  }
}
