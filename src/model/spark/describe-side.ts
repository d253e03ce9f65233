// A table of a join as the client sees it: by its metadata, and checked before any task runs.
import { resolve } from 'node:path'
import { Schema } from 'apache-arrow'
import type { JoinParams } from '../../join/options.ts'
import { addon, call, callNow, type TableSize } from '../../native.ts'
import { readTable } from '../../table/datasets.ts'
import { columnNotFound } from '../../table/schema.ts'
import { openSide } from '../join-tables.ts'
import type { SideFacts } from './join-plan.ts'
import { cutOf, type TableSide } from './table-side.ts'

export interface Described {
  side: TableSide
  facts: SideFacts
  size: TableSize
}

const DEFAULT_ID = 'id'
const DEFAULT_VECTOR = 'vector'

/** Looks at a table. `columns` go to the neighbors. */
export async function describeSide(
  input: string,
  which: 'item' | 'query',
  params: JoinParams,
  columns: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Described> {
  const { path, isCounted } = await pinned(input)
  const { idCol = DEFAULT_ID, featuresCol = DEFAULT_VECTOR } = params[which]
  const { fields } = await (await readTable(path, { signal })).schema({ signal })
  const hasIds = fields.some(({ name }) => name === idCol)
  // Row numbers of what is left are known to nobody before all rows were read.
  if (!hasIds && (params[which].idCol !== undefined || !isCounted)) throw columnNotFound(new Schema(fields), idCol)
  const open = await openSide(path, params, which, { signal }, columns)
  const { size } = open.native
  open.native.dispose()
  const read = [...new Set([...(hasIds ? [idCol] : []), featuresCol, ...columns])]
  const scan = await call(
    (native, job) => native.openScan([{ path }], { columns: read, side: which, ...cutOf({ read }) }, job),
    { signal },
  )
  const partitionRows = scan.partitions.map(({ numRows }) => numRows)
  scan.dispose()
  const side = { path, read, idCol, hasIds, featuresCol, columns: [...columns], partitionRows, isCounted }
  const stored = { ...size, dim: size.rowBytes / 4 }
  return { side, size, facts: { size: stored, partitionRows, isPlain: !size.isSparse && !size.isBits } }
}

/** The version of a Delta table, the same for all tasks; whether its files have no deleted rows. */
async function pinned(path: string): Promise<{ path: string; isCounted: boolean }> {
  if (!callNow(() => addon().isDeltaTable(path))) return { path, isCounted: true }
  const json = await call((native) => native.deltaSnapshot(path), {})
  const { version, deletedRows } = JSON.parse(json) as { version: number; deletedRows: number }
  const table = path.replace(/^delta:/, '').replace(/@(v\d+|\d{4}-[^/]*)$/, '')
  const absolute = table.includes('://') ? table : resolve(table)
  return { path: `delta:${absolute}@v${version}`, isCounted: deletedRows === 0 }
}
