// Arrow's types in Spark, which has fewer: what it has not becomes the next that holds the same values.
import {
  Binary,
  type DataType,
  DateDay,
  type Dictionary,
  Field,
  type FixedSizeList,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Precision,
  Schema,
  Struct,
  TimestampMicrosecond,
  Type,
  Utf8,
} from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { quoted } from './connect/relations.ts'

/** The schema of a table in Spark. Every column may be null there. */
export function sparkSchema(schema: Schema): Schema {
  return new Schema(schema.fields.map((field) => new Field(field.name, sparkType(field.type, field.name), true)))
}

/** Its columns as DDL; of what `sparkSchema` gives. */
export function schemaToDdl(schema: Schema): string {
  return schema.fields.map(({ name, type }) => `${quoted(name)} ${ddl(type)}`).join(', ')
}

function sparkType(type: DataType, column: string): DataType {
  const { typeId } = type as { typeId: Type }
  const children = type.children ?? []
  switch (typeId) {
    case Type.Int: {
      const { bitWidth, isSigned } = type as unknown as { bitWidth: number; isSigned: boolean }
      const width = isSigned ? bitWidth : bitWidth * 2
      return width <= 8 ? new Int8() : width <= 16 ? new Int16() : width <= 32 ? new Int32() : new Int64()
    }
    case Type.Float:
      return (type as unknown as { precision: Precision }).precision === Precision.DOUBLE
        ? new Float64()
        : new Float32()
    case Type.Bool:
    case Type.Decimal:
      return type
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Utf8View:
      return new Utf8()
    case Type.Binary:
    case Type.LargeBinary:
    case Type.BinaryView:
    case Type.FixedSizeBinary:
      return new Binary()
    case Type.Date:
      return new DateDay()
    case Type.Timestamp: {
      const { timezone } = type as unknown as { timezone?: string | null }
      // Spark has the moment, or no time zone at all.
      return new TimestampMicrosecond(timezone ? 'UTC' : null)
    }
    case Type.List:
    case Type.FixedSizeList: {
      const element = (type as List | FixedSizeList).children[0]!
      return new List(new Field('element', sparkType(element.type, column), true))
    }
    case Type.Struct:
      return new Struct(children.map((child) => new Field(child.name, sparkType(child.type, column), true)))
    case Type.Dictionary:
      return sparkType((type as Dictionary).dictionary, column)
    default:
      throw new NighError('COLUMN_TYPE', `column ${JSON.stringify(column)} is ${type}, which Spark has no type for`)
  }
}

function ddl(type: DataType): string {
  switch (type.typeId as Type) {
    case Type.Int:
      return { 8: 'tinyint', 16: 'smallint', 32: 'int' }[(type as unknown as { bitWidth: number }).bitWidth] ?? 'bigint'
    case Type.Float:
      return (type as unknown as { precision: Precision }).precision === Precision.DOUBLE ? 'double' : 'float'
    case Type.Bool:
      return 'boolean'
    case Type.Utf8:
      return 'string'
    case Type.Binary:
      return 'binary'
    case Type.Date:
      return 'date'
    case Type.Timestamp:
      return (type as unknown as { timezone?: string | null }).timezone ? 'timestamp' : 'timestamp_ntz'
    case Type.Decimal: {
      const { precision, scale } = type as unknown as { precision: number; scale: number }
      return `decimal(${precision},${scale})`
    }
    case Type.Struct:
      return `struct<${type.children.map((child) => `${quoted(child.name)}:${ddl(child.type)}`).join(',')}>`
    default:
      return `array<${ddl(type.children[0]!.type)}>`
  }
}
