// Delta tables as datasets: what is written is read back, by version, by filter and by partition.
import { join } from 'node:path'
import { Field, Float32, Int32, List, Table, Utf8, vectorFromArray } from 'apache-arrow'
import { expect, test } from 'vitest'
import { fromTables, readTable } from '../../src/table/datasets.ts'
import { temporaryDirectory } from '../support/run.ts'
import { facts, readDeltalake } from './support.ts'

const directory = temporaryDirectory()
const at = (name: string) => `delta:${join(directory, name)}`

function table(first: number, count: number): Table {
  const ids = Array.from({ length: count }, (_, i) => first + i)
  const vectors = ids.map((id) => [id, 1])
  return new Table({
    id: vectorFromArray(ids, new Int32()),
    country: vectorFromArray(
      ids.map((id) => ['FR', 'DE', null][id % 3]!),
      new Utf8(),
    ),
    vector: vectorFromArray(vectors, new List(new Field('item', new Float32(), true))),
  })
}

test('versions and times of a table that was appended to and overwritten', async () => {
  const path = at('versions')
  expect(await fromTables([table(0, 6)]).write(path)).toMatchObject({ version: 0, rows: 6 })
  const { timestampMs } = await facts(path)
  expect(await fromTables([table(6, 6)]).write(path, { mode: 'append' })).toMatchObject({ version: 1, rows: 6 })
  expect(await fromTables([table(90, 1)]).write(path, { mode: 'overwrite' })).toMatchObject({ version: 2, rows: 1 })
  const ids = async (options = {}) => (await (await readTable(path, options)).toRows()).map(({ id }) => id)
  expect(await ids()).toEqual([90])
  expect((await ids({ version: 1 })).sort((a, b) => Number(a) - Number(b))).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ])
  expect(await ids({ version: 0, filter: 'id >= 4' })).toEqual([4, 5])
  expect(await ids({ timestamp: timestampMs })).toEqual([0, 1, 2, 3, 4, 5])
  // In the path, as the command line has it.
  const rowsAt = async (when: string) => (await (await readTable(`${path}@${when}`)).toRows()).length
  expect(await rowsAt('v1')).toBe(12)
  expect(await rowsAt(new Date(timestampMs).toISOString())).toBe(6)
  expect(await rowsAt('2200-01-01')).toBe(1)
  await expect(rowsAt('2001-01-01T00:00:00+01:00')).rejects.toMatchObject({ code: 'DELTA_VERSION' })
  await expect(ids({ version: 9 })).rejects.toMatchObject({ code: 'DELTA_VERSION' })
  await expect(fromTables([table(0, 1)]).write(path)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
})

test('partitions: a filter opens the files that may match, and others read the same', async () => {
  const path = at('parts')
  await fromTables([table(0, 9)]).write(path, { partitionBy: ['country'] })
  const french = await readTable(path, { filter: "country = 'FR'" })
  expect(await french.numPartitions()).toBe(1)
  expect((await french.toRows()).map(({ id, country }) => [id, country])).toEqual([
    [0, 'FR'],
    [3, 'FR'],
    [6, 'FR'],
  ])
  const unknown = await readTable(path, { filter: 'country is null', columns: ['id'] })
  expect((await unknown.toRows()).map(({ id }) => id)).toEqual([2, 5, 8])
  // Statistics of the log: no file has such an id.
  expect(await (await readTable(path, { filter: 'id > 100' })).numPartitions()).toBe(0)
  const python = readDeltalake(join(directory, 'parts'))
  expect(python.partitionColumns).toEqual(['country'])
  expect(python.rows).toHaveLength(9)
})
