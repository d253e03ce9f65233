// Merged neighbors as the local engine writes them: the same columns, names and types.
import { Field, FixedSizeList, Float32, Int64, makeData, Schema, Table } from 'apache-arrow'
import { addon, call, callNow, callOn, type NativeTable } from '../../native.ts'
import { readTable } from '../../table/datasets.ts'
import { schemaFromIpc, schemaToIpc, tableFromIpc, tableToIpc } from '../../table/ipc.ts'
import { openTable, readOpenTable } from '../../table/read.ts'
import { emptyTable, recordBatch } from '../../table/schema.ts'
import type { CandidateBlock } from './candidate-block.ts'
import { itemColumns, type JoinWork, queryColumns, querySide } from './join-stage.ts'
import type { Merged } from './merge-candidates.ts'
import type { TableSide } from './table-side.ts'

/** Tables that are written have vectors, which the writer of neighbors does not look at. */
const NO_VECTOR = '__nigh_none'

/** The schema of the result, as an Arrow IPC stream. */
export async function neighborsSchema(work: JoinWork): Promise<Uint8Array> {
  const nothing = { counts: new Uint32Array(), places: new Uint32Array(), distances: new Float32Array() }
  const merged = { ...nothing, k: work.params.k, present: new Uint32Array(), rows: new Float64Array() }
  const queries = await emptyRows(querySide(work), queryColumns(work))
  return schemaToIpc(schemaFromIpc(await neighborsIpc(work, [], queries, merged)))
}

/** Columns of a table without rows. */
async function emptyRows({ path, hasIds, idCol }: TableSide, columns: readonly string[]): Promise<Table> {
  const schema = await (await readTable(path)).schema()
  const fields = columns.map((name) =>
    !hasIds && name === idCol
      ? new Field(name, new Int64(), false)
      : schema.fields.find((field) => field.name === name)!,
  )
  return emptyTable(new Schema(fields))
}

/** The neighbors as the local engine writes them. */
export async function neighborsIpc(
  work: JoinWork,
  blocks: readonly CandidateBlock[],
  queries: Table,
  { k, present, counts, places, distances }: Merged,
): Promise<Uint8Array> {
  const { params, items } = work
  const side = querySide(work)
  const { columns } = params.item
  const held: { dispose(): void }[] = []
  const hold = <T extends { dispose(): void }>(value: T) => {
    held.push(value)
    return value
  }
  try {
    const itemTable = hold(await namedRows(await itemRows(work, blocks), items.idCol, columns, 'item'))
    const own = queries.select(queryColumns(work))
    const asking = present.length === own.numRows ? tableToIpc(own) : await takenRows(own, present)
    const queryTable = hold(await namedRows(tableFromIpc(asking), side.idCol, params.query.columns, 'query'))
    const neighbors = hold(callNow((native) => native.newNeighbors(k, counts, places, distances)))
    const { layout } = params
    const writing = { layout, columns, queryColumns: params.query.columns, force: false, mode: 'error' as const }
    const writer = hold(callNow((native) => native.createWriter(itemTable, queryTable, writing)))
    await call((_, job) => writer.write(0, neighbors, job), {})
    return (await callOn(() => writer.finish())).bytes!
  } finally {
    for (const value of held.reverse()) value.dispose()
  }
}

/** Ids and columns of the items of all blocks; without any, those of an empty part of the table. */
async function itemRows(work: JoinWork, blocks: readonly CandidateBlock[]): Promise<Table> {
  const tables = blocks.filter(({ itemRows }) => itemRows.length > 0).map(({ columns }) => tableFromIpc(columns))
  const [one, ...others] = tables
  if (one) return others.length === 0 ? one : one.concat(...others)
  return emptyRows(work.items, itemColumns(work))
}

async function takenRows(table: Table, rows: Uint32Array): Promise<Uint8Array> {
  return callOn(async () => {
    const all = await addon().arrowFromIpc(tableToIpc(table))
    const taken = await all.take(rows)
    all.dispose()
    try {
      return await taken.toIpc()
    } finally {
      taken.dispose()
    }
  })
}

/** A table of ids and columns for the writer of neighbors. */
async function namedRows(
  table: Table,
  idCol: string,
  columns: readonly string[],
  side: 'item' | 'query',
): Promise<NativeTable> {
  const type = new FixedSizeList(1, new Field('item', new Float32(), false))
  const schema = new Schema([...table.schema.fields, new Field(NO_VECTOR, type, false)])
  const batches = table.batches.map((batch) => {
    const child = makeData({ type: new Float32(), data: new Float32Array(batch.numRows) })
    const vectors = makeData({ type, child, length: batch.numRows, nullCount: 0 })
    return recordBatch(schema, [...batch.data.children, vectors], batch.numRows)
  })
  const options = { idCol, featuresCol: NO_VECTOR, columns, onInvalid: 'fail' as const, threads: 1, side }
  return readOpenTable(await openTable(new Table(schema, batches), options, {}), undefined, {})
}
