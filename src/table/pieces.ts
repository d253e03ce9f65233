// Tables over memory that the addon handed over: the pieces of Arrow IPC without its bytes around them, and without their copy.
import { type Data, type DataType, type Field, makeData, type Schema, Table, Type } from 'apache-arrow'
import type { NativePieces } from '../native.ts'
import { emptyTable, recordBatch } from './schema.ts'

export function tableFromPieces(schema: Schema, batches: readonly NativePieces[]): Table {
  if (batches.length === 0) return emptyTable(schema)
  return new Table(
    schema,
    batches.map((pieces) => {
      const rest = { arrays: pieces.arrays.values(), buffers: pieces.buffers.values() }
      return recordBatch(
        schema,
        schema.fields.map(({ type }) => dataOf(type, rest)),
        pieces.numRows,
      )
    }),
  )
}

interface Rest {
  arrays: Iterator<number>
  buffers: Iterator<Uint8Array>
}

const OFFSETS_AND_BYTES = new Set([Type.Utf8, Type.Binary, Type.LargeUtf8, Type.LargeBinary])
const OFFSETS_AND_CHILD = new Set([Type.List, Type.LargeList, Type.Map])

/** Takes the array of a type, and those within it. */
function dataOf(type: DataType, rest: Rest): Data {
  const [length, nullCount] = [rest.arrays.next().value!, rest.arrays.next().value!]
  if (type.typeId === Type.Null) return make({ type, length })
  const nullBitmap = nullCount > 0 ? rest.buffers.next().value : undefined
  const common = { type, length, nullCount, nullBitmap }
  const child = () => dataOf((type.children as Field[])[0]!.type, rest)
  if (OFFSETS_AND_BYTES.has(type.typeId)) {
    return make({ ...common, valueOffsets: rest.buffers.next().value, data: rest.buffers.next().value })
  }
  if (OFFSETS_AND_CHILD.has(type.typeId))
    return make({ ...common, valueOffsets: rest.buffers.next().value, child: child() })
  if (type.typeId === Type.FixedSizeList) return make({ ...common, child: child() })
  if (type.typeId === Type.Struct) {
    return make({ ...common, children: (type.children as Field[]).map((field) => dataOf(field.type, rest)) })
  }
  return make({ ...common, data: rest.buffers.next().value })
}

const make = (props: object) => makeData(props as never) as Data
