// Files of a Delta table that a task writes and the client commits.
import { writeFileSync } from 'node:fs'
import { addon, call, callNow, callOn, type NativeDatasetWriter } from '../../native.ts'
import { readTable } from '../../table/datasets.ts'
import { schemaToIpc, tableToIpc } from '../../table/ipc.ts'
import type { DeltaFiles, DeltaTarget } from './commit-delta.ts'

/** Completes the files of a writer, and tells of them in `note`. */
export async function tellFiles(writer: NativeDatasetWriter, note: string): Promise<void> {
  const { actions, rows } = await callOn(() => writer.finishFiles())
  const files: DeltaFiles = { actions: Buffer.from(actions).toString('base64'), rows }
  writeFileSync(note, JSON.stringify(files))
}

/** Copies a table into files of a Delta table. */
export async function writeDeltaFiles(from: string, { path, mode }: DeltaTarget, note: string): Promise<void> {
  const dataset = await readTable(from)
  const schemaIpc = schemaToIpc(await dataset.schema())
  const options = { path, format: 'delta' as const, mode, partitionBy: [], schemaIpc }
  const writer = callNow((native) => native.createDatasetWriter(options))
  try {
    for await (const table of dataset.tables()) {
      const native = await callOn(() => addon().arrowFromIpc(tableToIpc(table)))
      await call((_, job) => writer.write(native, job), {}).finally(() => native.dispose())
    }
    await tellFiles(writer, note)
  } finally {
    writer.dispose()
  }
}
