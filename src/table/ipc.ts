// Tables to Arrow IPC bytes and back. Around three faults of apache-arrow 21's writer: it cuts sliced views of text or bytes twice,
// writes -1 as the number of nulls of a sliced null column, and refuses two columns that share a dictionary's id.
import {
  Table as ArrowTable,
  type Data,
  makeData,
  type Schema,
  type Table,
  Type,
  tableFromIPC,
  tableToIPC,
} from 'apache-arrow'
import { recordBatch, retyped, withOwnDictionaries } from './schema.ts'

/** An IPC stream of a table. Copies. */
export function tableToIpc(table: Table): Uint8Array {
  const schema = withOwnDictionaries(table.schema)
  const own = schema === table.schema ? table : retyped(table, schema)
  return tableToIPC(isWrongWhenSliced(schema.fields) ? withoutOffsets(own) : own, 'stream')
}

/** A table over the bytes of an IPC stream or file; its columns are views of them. */
export function tableFromIpc(bytes: Uint8Array): Table {
  return tableFromIPC(bytes)
}

/** The schema of an IPC stream. */
export function schemaFromIpc(bytes: Uint8Array): Schema {
  return tableFromIPC(bytes).schema
}

/** An IPC stream with a schema alone. */
export function schemaToIpc(schema: Schema): Uint8Array {
  return tableToIPC(new ArrowTable(withOwnDictionaries(schema)), 'stream')
}

type Fields = Schema['fields']

const WRONG_WHEN_SLICED = new Set([Type.Utf8View, Type.BinaryView, Type.Null])

function isWrongWhenSliced(fields: Fields): boolean {
  return fields.some(({ type }) => WRONG_WHEN_SLICED.has(type.typeId) || isWrongWhenSliced(type.children ?? []))
}

function withoutOffsets(table: Table): Table {
  const batches = table.batches.map((batch) =>
    recordBatch(table.schema, batch.data.children.map(withoutOffset), batch.numRows),
  )
  return new ArrowTable(table.schema, batches)
}

/** The same values with bitmaps, values and children that begin with the first one. */
function withoutOffset(data: Data): Data {
  const { type, length, valueOffsets, nullCount } = data
  if (type.typeId === Type.Null) return make({ type, length })
  const common = { type, length, nullCount, nullBitmap: nullCount > 0 ? bitsFrom(data.nullBitmap, data) : undefined }
  if (type.typeId === Type.Bool) return make({ ...common, data: bitsFrom(data.values as Uint8Array, data) })
  if (type.typeId === Type.Utf8View || type.typeId === Type.BinaryView) {
    return make({ ...common, views: data.values, variadicBuffers: data.variadicBuffers })
  }
  if (type.typeId === Type.Struct) return make({ ...common, children: data.children.map(withoutOffset) })
  if (type.typeId === Type.FixedSizeList) return make({ ...common, child: withoutOffset(data.children[0]!) })
  if (data.children.length === 1 && valueOffsets && length > 0) {
    const first = valueOffsets[0]!
    const child = data.children[0]!.slice(Number(first), Number(valueOffsets[length]) - Number(first))
    const rebased = valueOffsets.map((offset: number | bigint) => ((offset as number) - (first as number)) as never)
    return make({ ...common, valueOffsets: rebased, child: withoutOffset(child) })
  }
  // The writer is right about the rest, and dictionaries are written apart.
  return data
}

const make = (props: object) => makeData(props as never) as Data

function bitsFrom(bits: Uint8Array, { offset, length }: Data): Uint8Array {
  const out = new Uint8Array(((length + 63) >> 6) << 3)
  for (let i = 0; i < length; i++) out[i >> 3]! |= ((bits[(offset + i) >> 3]! >> ((offset + i) & 7)) & 1) << (i & 7)
  return out
}
