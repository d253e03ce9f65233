// The partitions of rows as text: what items and queries of any type of column agree about.
import { DataType, type Vector } from 'apache-arrow'
import { NighError } from '../../../errors.ts'

/** The partition of each item. Errors: NULL_PARTITION, COLUMN_TYPE. */
export function partitionsOf(column: Vector, name: string): string[] {
  const text = textOf(column.type, name)
  return Array.from({ length: column.length }, (_, row) => {
    const value: unknown = column.get(row)
    if (value !== null) return text(value)
    throw new NighError('NULL_PARTITION', `column "${name}" is null in row ${row}: an item is of one partition`)
  })
}

/** The partitions that each query sees: those of a list, or one; null sees none. */
export function seenPartitions(column: Vector, name: string): string[][] {
  const isList = DataType.isList(column.type) || DataType.isFixedSizeList(column.type)
  const text = textOf(isList ? column.type.children[0]!.type : column.type, name)
  return Array.from({ length: column.length }, (_, row) => {
    const value: unknown = column.get(row)
    if (value === null) return []
    const all = isList ? [...(value as Iterable<unknown>)] : [value]
    return all.filter((one) => one !== null).map(text)
  })
}

function textOf(type: DataType, name: string): (value: unknown) => string {
  if (DataType.isDate(type)) return (value) => new Date(Number(value)).toISOString().slice(0, 10)
  if (DataType.isDictionary(type)) return textOf(type.dictionary, name)
  if (DataType.isInt(type) || DataType.isBool(type) || DataType.isUtf8(type) || DataType.isLargeUtf8(type))
    return String
  const message = `column "${name}" is ${type}: partitions are integers, strings, dates or booleans`
  throw new NighError('COLUMN_TYPE', message)
}
