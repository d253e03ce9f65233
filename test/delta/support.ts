import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type Table, tableToIPC } from 'apache-arrow'
import { addon, call, callNow, type DeltaFacts } from '../../src/native.ts'
import { fromTables } from '../../src/table/datasets.ts'
import type { WriteOptions, Written } from '../../src/table/write.ts'
import { nigh, type Row, readRows, runPython } from '../support/run.ts'

/** A table as Python's deltalake reads it. */
export interface PythonTable {
  version: number
  schema: [string, string][]
  partitionColumns: string[]
  rows: Record<string, unknown>[]
  actions: Record<string, unknown>[]
  protocol: [number, number]
}

/** A row with the columns that were carried. */
export type JoinedRow = Row & Record<string, unknown>

export const readDeltalake = (path: string, ...version: string[]): PythonTable =>
  JSON.parse(runPython('../delta/read_deltalake.py', path, ...version))

export const facts = async (path: string, version?: number, timestampMs?: number): Promise<DeltaFacts> =>
  JSON.parse(await call((native) => native.deltaSnapshot(path, version, timestampMs), {}))

let outputs = 0

/** The rows of a table with vectors, by id, as the join reads them: each is its own nearest. */
export function rowsThroughJoin(
  directory: string,
  path: string,
  columns: readonly string[] = [],
  env: Record<string, string> = {},
): JoinedRow[] {
  const out = join(directory, `through-join-${outputs++}.arrow`)
  const carried = columns.length > 0 ? ['--query-columns', columns.join(',')] : []
  const ran = nigh(['join', path, '--self', '-k', '1', '--include-self', '--exact', ...carried, '--out', out, '-q'], {
    env,
  })
  if (ran.code !== 0) throw new Error(ran.stderr)
  const rows = readRows(out)
  for (const { id, neighbors } of rows) {
    if (neighbors.length !== 1 || neighbors[0]!.neighbor !== id) throw new Error(`row ${id} is not its own nearest`)
  }
  return (rows as JoinedRow[]).sort((a, b) => Number(a.id) - Number(b.id))
}

export const idsOf = (rows: readonly { id: unknown }[]): number[] => rows.map(({ id }) => Number(id))

/** Writes tables into a Delta table in one commit. */
export const writeDelta = (
  path: string,
  tables: readonly Table[],
  options: Pick<WriteOptions, 'mode' | 'partitionBy'> = {},
): Promise<Written> => fromTables(tables).write(`delta:${path}`, options)

/** A writer that is not finished yet, with what takes one more table. */
export function deltaWriter(path: string, mode: 'error' | 'overwrite' | 'append', first: Table) {
  const schemaIpc = tableToIPC(first.slice(0, 0), 'stream')
  const writer = callNow((native) =>
    native.createDatasetWriter({ path, format: 'delta', mode, partitionBy: [], schemaIpc }),
  )
  const write = async (table: Table) => {
    const arrow = await call((native) => native.arrowFromIpc(tableToIPC(table, 'stream')), {})
    await call((_, job) => writer.write(arrow, job), {})
  }
  return { writer, write }
}

/** Whether the addon reads the path as a Delta table. */
export const isDelta = (path: string): boolean => addon().isDeltaTable(path)

export const freePort = (): number => {
  const script = "const s=require('net').createServer();s.listen(0,()=>{console.log(s.address().port);s.close()})"
  return Number(spawnSync(process.execPath, ['-e', script]).stdout)
}
