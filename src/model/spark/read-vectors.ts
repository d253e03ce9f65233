// The vectors of a table in a task, whatever form they have.
import type { Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import type { JoinParams } from '../../join/options.ts'
import { addon, call, callNow, type NativeItems, type NativeTable } from '../../native.ts'
import { tableFromIpc, tableToIpc } from '../../table/ipc.ts'
import { openTable, readOpenTable } from '../../table/read.ts'
import { ROW, rowNumbers } from './row-numbers.ts'
import type { TableSide } from './table-side.ts'

export interface ReadVectors {
  native: NativeTable
  /** The number of each row: without those that were dropped. */
  rows: Float64Array
}

/** Reads numbered rows as the local engine does, with its errors. The caller disposes of them. */
export async function readNumbered(
  table: Table,
  { path, featuresCol }: TableSide,
  side: 'item' | 'query',
  { onInvalid, threads }: JoinParams,
): Promise<ReadVectors> {
  const options = { idCol: ROW, featuresCol, columns: [], onInvalid, threads, side }
  try {
    const open = await openTable(tableToIpc(table.select([ROW, featuresCol])), options, {})
    const native = await readOpenTable(open, undefined, {})
    return { native, rows: rowNumbers(tableFromIpc(callNow(() => addon().itemColumnsIpc(native)))) }
  } catch (error) {
    if (!(error instanceof NighError)) throw error
    throw new NighError(error.code, error.message.replaceAll('Arrow IPC buffer 0', path), { cause: error })
  }
}

/** A copy of the vectors of some rows. */
export function vectorsOf(native: NativeTable, rows?: ArrayLike<number>): Float32Array {
  const all = callNow(() => native.vectors(0, native.numRows))
  if (!rows) return all
  const { dim } = native
  const out = new Float32Array(rows.length * dim)
  for (let i = 0; i < rows.length; i++) out.set(all.subarray(rows[i]! * dim, (rows[i]! + 1) * dim), i * dim)
  return out
}

/** Vectors as a table that asks. */
export async function tableOfVectors(vectors: Float32Array, dim: number, threads: number): Promise<NativeTable> {
  const open = await openTable({ vectors, dim }, { threads, side: 'query' }, {})
  return readOpenTable(open, undefined, {})
}

/** Items of some vectors, ready to be searched. Takes the table's vectors. */
export function itemsOf(native: NativeTable, { metric, threads }: JoinParams): Promise<NativeItems> {
  return call((addon, job) => addon.newItems(native, metric, threads, job), {})
}
