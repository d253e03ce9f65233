// One commit of files that several writers left, among other writers of the table.
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Int64, Table, vectorFromArray } from 'apache-arrow'
import { expect, test } from 'vitest'
import { DeltaCommit } from '../../src/model/spark/commit-delta.ts'
import { writeDeltaFiles } from '../../src/model/spark/task-output.ts'
import { fromTables, readTable } from '../../src/table/datasets.ts'
import { schemaToIpc } from '../../src/table/ipc.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const at = (...names: string[]) => join(directory, ...names)
const rows = (...ids: number[]) => new Table({ id: vectorFromArray(ids.map(BigInt), new Int64()) })
const schemaIpc = schemaToIpc(rows(1).schema)
const write = (path: string, table: Table, mode?: 'append') =>
  fromTables([table]).write(path, { format: 'delta', ...(mode && { mode }) })
const idsIn = async (path: string) =>
  (await (await readTable(path)).toRows()).map(({ id }) => Number(id)).sort((a, b) => a - b)
const dataFiles = (path: string) => readdirSync(path).filter((name) => name.endsWith('.parquet'))

/** Files of a task that are complete. */
async function task(work: string, name: string, path: string, mode: 'error' | 'overwrite' | 'append', table: Table) {
  mkdirSync(at(work), { recursive: true })
  await fromTables([table]).write(at(work, `${name}.parquet`))
  const note = at(work, `part-${name}.json`)
  await writeDeltaFiles(at(work, `${name}.parquet`), { path, mode }, note)
  return note
}

test('a new table: the files of the attempts that count, in one version', async () => {
  const [path, mode] = [at('new'), 'error'] as const
  const commit = DeltaCommit.begin({ path, mode }, schemaIpc)
  const counted = [
    await task('new-work', '0', path, mode, rows(1, 2)),
    await task('new-work', '1', path, mode, rows(3)),
  ]
  await task('new-work', '1-again', path, mode, rows(3))
  expect(await commit.commit(at('new-work'), counted)).toEqual({ version: 0, files: 2 })
  expect(await idsIn(path)).toEqual([1, 2, 3])
  expect(dataFiles(path)).toHaveLength(2)
  expect(() => DeltaCommit.begin({ path, mode }, schemaIpc)).toThrow(expect.objectContaining({ code: 'OUTPUT_EXISTS' }))
})

test('given up: nothing stays', async () => {
  const [path, mode] = [at('given-up'), 'error'] as const
  const commit = DeltaCommit.begin({ path, mode }, schemaIpc)
  await task('given-up-work', '0', path, mode, rows(1))
  await commit.abort(at('given-up-work'))
  expect(readdirSync(directory)).not.toContain('given-up')
})

test('what others commit meanwhile: an append goes on top, an overwrite does not', async () => {
  const path = at('shared')
  await write(path, rows(1))
  const appending = DeltaCommit.begin({ path, mode: 'append' }, schemaIpc)
  const overwriting = DeltaCommit.begin({ path, mode: 'overwrite' }, schemaIpc)
  const added = await task('append-work', '0', path, 'append', rows(10))
  const replaced = await task('overwrite-work', '0', path, 'overwrite', rows(20))
  await write(path, rows(2), 'append')
  expect(await appending.commit(at('append-work'), [added])).toMatchObject({ version: 2 })
  await expect(overwriting.commit(at('overwrite-work'), [replaced])).rejects.toMatchObject({ code: 'DELTA_CONFLICT' })
  await overwriting.abort(at('overwrite-work'))
  expect(await idsIn(path)).toEqual([1, 2, 10])
  expect(dataFiles(path)).toHaveLength(3)
})
