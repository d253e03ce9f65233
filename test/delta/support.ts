import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { type Table, tableToIPC } from 'apache-arrow'
import { addon, call, type DeltaFacts, type NativeDeltaOptions } from '../../src/native.ts'
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
export async function writeDelta(
  path: string,
  tables: readonly Table[],
  options: Partial<Omit<NativeDeltaOptions, 'path' | 'schemaIpc'>> = {},
): Promise<{ rows: number; files: number; sizeBytes: number; version: number }> {
  const first = tables[0]!
  const writer = await call(
    (native) =>
      native.createDeltaWriter({
        path,
        mode: options.mode ?? 'error',
        partitionBy: options.partitionBy ?? [],
        schemaIpc: tableToIPC(first.slice(0, 0), 'stream'),
      }),
    {},
  )
  for (const table of tables) await call((_, job) => writer.write(tableToIPC(table, 'stream'), job), {})
  return call(() => writer.finish(), {})
}

/** Whether the addon reads the path as a Delta table. */
export const isDelta = (path: string): boolean => addon().isDeltaTable(path)

export const freePort = (): number => {
  const script = "const s=require('net').createServer();s.listen(0,()=>{console.log(s.address().port);s.close()})"
  return Number(spawnSync(process.execPath, ['-e', script]).stdout)
}
