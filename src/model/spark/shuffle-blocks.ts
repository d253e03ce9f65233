// What goes between the stages of a job: rows of a few numbers and a large block of bytes each, so that Spark moves bytes and no values.
import { Binary, Field, Float64, Int32, makeData, Schema, Table } from 'apache-arrow'
import { recordBatch } from '../../table/schema.ts'

/** `key` says which partition it goes to (shuffle-keys.ts), `kind` and `at` what and from where it is. */
export interface ShuffleBlock {
  key: number
  kind: number
  at: number
  /** Null for a row that only makes a partition not empty. */
  block: Uint8Array | null
}

export const BLOCK_SCHEMA: Schema = new Schema([
  new Field('key', new Int32(), true),
  new Field('kind', new Int32(), true),
  new Field('at', new Float64(), true),
  new Field('block', new Binary(), true),
])

/** Bytes of a block, about. */
export const BLOCK_BYTES = 4e6

export function blockTable({ key, kind, at, block }: ShuffleBlock): Table {
  const bytes = block ?? new Uint8Array()
  const isNull = block === null
  const binary = makeData({
    type: new Binary(),
    length: 1,
    nullCount: isNull ? 1 : 0,
    nullBitmap: isNull ? new Uint8Array(8) : undefined,
    valueOffsets: Int32Array.of(0, bytes.length),
    data: bytes,
  })
  const children = [
    makeData({ type: new Int32(), data: Int32Array.of(key) }),
    makeData({ type: new Int32(), data: Int32Array.of(kind) }),
    makeData({ type: new Float64(), data: Float64Array.of(at) }),
    binary,
  ]
  return new Table(BLOCK_SCHEMA, [recordBatch(BLOCK_SCHEMA, children, 1)])
}

export function* blocksIn(table: Table): Generator<ShuffleBlock> {
  const [keys, kinds, ats, blocks] = ['key', 'kind', 'at', 'block'].map((name) => table.getChild(name)!)
  for (let i = 0; i < table.numRows; i++) {
    yield { key: keys!.get(i), kind: kinds!.get(i), at: ats!.get(i), block: blocks!.get(i) }
  }
}

/** As SQL gives them: a row without a block for each of some keys, whose numbers are its kinds. */
export function emptyBlocksSql(keys: readonly number[]): string {
  const columns = 'CAST(0 AS DOUBLE) AS at, CAST(NULL AS BINARY) AS block'
  return `SELECT element_at(array(${keys.join(', ')}), CAST(id AS INT) + 1) AS key, CAST(id AS INT) AS kind, ${columns} FROM range(0, ${keys.length}, 1, 1)`
}
