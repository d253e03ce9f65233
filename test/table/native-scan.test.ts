import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeVector, Table, tableFromIPC, tableToIPC } from 'apache-arrow'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addon, call, type NativeArrow, type NativeTableStream } from '../../src/native.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'nigh-scan-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const numbers = (from: number, to: number) => {
  const ids = Int32Array.from({ length: to - from }, (_, i) => from + i)
  return new Table({ id: makeVector(ids), part: makeVector(ids.map((id) => id % 3)) })
}
const native = async (table: Table): Promise<NativeArrow> => await addon().arrowFromIpc(tableToIPC(table, 'stream'))

async function read(stream: NativeTableStream): Promise<number[][]> {
  const tables: number[][] = []
  for (;;) {
    const table = await call((_, job) => stream.next(job), {})
    if (!table) return tables
    tables.push([...tableFromIPC(await table.toIpc()).getChild('id')!])
  }
}

async function write(path: string, format: 'parquet' | 'arrow', partitionBy: string[], tables: Table[]) {
  const schemaIpc = (await native(tables[0]!)).schemaIpc()
  const writer = addon().createDatasetWriter({ path, format, mode: 'error', partitionBy, schemaIpc })
  for (const table of tables) {
    const arrow = await native(table)
    await call((_, job) => writer.write(arrow, job), {})
  }
  return await call((_, job) => writer.finish(job), {})
}

const open = (path: string, options: { columns?: string[]; filter?: string } = {}) =>
  call((native, job) => native.openScan([{ path }], options, job), {})

test('a dataset written by partition is read back, pruned by its directories', async () => {
  const path = join(dir, 'parts')
  const written = await write(path, 'parquet', ['part'], [numbers(0, 50), numbers(50, 100)])
  expect(written).toMatchObject({ rows: 100, files: 3 })
  expect(readdirSync(path)).toEqual(['part=0', 'part=1', 'part=2'])
  const scan = await open(path, { columns: ['id'], filter: 'part = 1 and id < 20' })
  expect(tableFromIPC(scan.schemaIpc()).schema.names).toEqual(['id'])
  expect(scan.partitions).toHaveLength(1)
  expect(scan.partitions[0]!.numRows).toBe(33)
  expect(await read(scan.open(0, 4))).toEqual([
    [1, 4, 7, 10],
    [13, 16, 19],
  ])
  expect(scan.bytesRead).toBeGreaterThan(0)
})

test('files of both formats, and buffers', async () => {
  for (const name of ['a.parquet', 'a.arrow'] as const) {
    const path = join(dir, name)
    await write(path, name === 'a.parquet' ? 'parquet' : 'arrow', [], [numbers(0, 5), numbers(5, 9)])
    const scan = await open(path)
    expect(await read(scan.open(0, -1))).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8]])
  }
  const ipc = tableToIPC(numbers(0, 3), 'file')
  const scan = await call((native, job) => native.openScan([{ ipc }, { ipc }], { filter: 'id > 0' }, job), {})
  expect(await read(scan.open(1, -1))).toEqual([[1, 2]])
})

test('a shuffle gives every row to its partition, spilled or not', async () => {
  const table = await native(numbers(0, 1000))
  for (const memoryBytes of [1, 1e9]) {
    const schemaIpc = table.schemaIpc()
    const shuffle = addon().createShuffle({ numPartitions: 4, schemaIpc, memoryBytes, dir })
    await shuffle.add(
      table,
      Uint32Array.from({ length: 1000 }, (_, i) => i % 4),
    )
    await shuffle.addByKey(table, ['part'])
    expect(shuffle.spilledBytes > 0).toBe(memoryBytes === 1)
    const all = await Promise.all([0, 1, 2, 3].map(async (p) => (await read(shuffle.open(p, 300))).flat()))
    expect(all[3]!.slice(0, 250)).toEqual(Array.from({ length: 250 }, (_, i) => 4 * i + 3))
    expect(all.flat()).toHaveLength(2000)
    shuffle.dispose()
  }
})

test('a cancelled read and an aborted write leave nothing behind', async () => {
  const path = join(dir, 'aborted')
  const schemaIpc = (await native(numbers(0, 1))).schemaIpc()
  const writer = addon().createDatasetWriter({ path, format: 'parquet', mode: 'error', partitionBy: [], schemaIpc })
  const table = await native(numbers(0, 10))
  await call((_, job) => writer.write(table, job), {})
  await writer.abort()
  expect(readdirSync(dir).filter((name) => name.includes('aborted'))).toEqual([])
  await expect(call((_, job) => writer.write(table, job), {})).rejects.toMatchObject({ code: 'DISPOSED' })
  const scan = await open(join(dir, 'a.parquet'))
  const stream = scan.open(0, -1)
  await expect(
    call((_, job) => {
      job.cancel()
      return stream.next(job)
    }, {}),
  ).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('errors have codes', async () => {
  await expect(open(join(dir, 'none.parquet'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  await expect(open(join(dir, 'a.parquet'), { filter: 'id = ' })).rejects.toMatchObject({ code: 'FILTER_INVALID' })
  await expect(open(join(dir, 'a.parquet'), { columns: ['ids'] })).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
})
