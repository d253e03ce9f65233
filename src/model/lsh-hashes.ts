// The hashes of a table's rows as a column.
import {
  Table as ArrowTable,
  Field,
  FixedSizeList,
  Float64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  type Table,
} from 'apache-arrow'
import { NighError } from '../errors.ts'
import { isOfBits } from '../join/metric.ts'
import { call, type NativeHasher } from '../native.ts'
import { readVectors } from '../table/read.ts'
import type { LshParams } from './lsh-params.ts'

/** The table with one more column: a list of float64, one of each hash table. */
export async function withHashes(table: Table, hasher: NativeHasher, params: LshParams): Promise<Table> {
  const { outputCol, metric, threads, item, hash } = params
  if (table.schema.names.includes(outputCol)) {
    throw new NighError('COLUMN_CONFLICT', `there is a column "${outputCol}" already: name another outputCol`)
  }
  // No ids are needed: a column of another name is none of them.
  const reading = { featuresCol: item.featuresCol, bits: isOfBits(metric), threads, side: 'item' }
  const read = await readVectors(table, reading, {})
  const hashes = await call(() => hasher.hash(read, threads), {}).finally(() => read.dispose())
  const type = new FixedSizeList(hash.numTables, new Field('element', new Float64(), false))
  const schema = new Schema([...table.schema.fields, new Field(outputCol, type, false)], table.schema.metadata)
  let first = 0
  const batches = table.batches.map((batch) => {
    const length = batch.numRows
    const numbers = hashes.subarray(first * hash.numTables, (first + length) * hash.numTables)
    first += length
    const child = makeData({ type: new Float64(), data: numbers })
    const children = [...batch.data.children, makeData({ type, child, length, nullCount: 0 })]
    return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, children }))
  })
  return new ArrowTable(schema, batches)
}
