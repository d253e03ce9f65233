// PySpark with Delta Lake on the other side: one Spark for all of these tests.
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, Int32, makeData, Table, Utf8, Vector, vectorFromArray } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { temporaryDirectory } from '../support/run.ts'
import { Spark } from './spark.ts'
import { facts, idsOf, rowsThroughJoin, writeDelta } from './support.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
// A machine that does other things as well takes long for Spark's first statements.
vi.setConfig({ testTimeout: 300_000 })
let spark: Spark
beforeAll(async () => {
  spark = await Spark.start(directory)
}, 300_000)
afterAll(() => spark?.stop())

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i)
const vector = 'array(float(id), float(0), float(0), float(0)) AS vector'
const ids = async (name: string, version = '') =>
  (await spark.sql(`SELECT id FROM delta.\`${at(name)}\` ${version} ORDER BY id`)).map(({ id }) => Number(id))
const own = (name: string, ...columns: string[]) => rowsThroughJoin(directory, at(name), columns)
const create = (name: string, rows: string, properties: Record<string, string> = {}, columns = '') => {
  const given = Object.entries(properties).map(([key, value]) => `'delta.${key}' = '${value}'`)
  const table = given.length > 0 ? `TBLPROPERTIES (${given})` : ''
  return spark.sql(
    `CREATE TABLE delta.\`${at(name)}\` USING delta ${table} AS SELECT id, ${vector} ${columns} FROM ${rows}`,
  )
}

/** Rows for nigh to write. */
function table(first: number, count: number, columns: Record<string, Vector> = {}): Table {
  const values = new Float32Array(count * 4)
  for (let i = 0; i < count; i++) values[i * 4] = first + i
  const type = new FixedSizeList(4, new Field('item', new Float32(), false))
  const vectors = new Vector([
    makeData({ type, child: makeData({ type: new Float32(), data: values }), length: count }),
  ])
  const id = vectorFromArray(range(first, first + count).map(BigInt))
  return new Table({ id, vector: vectors, ...columns } as Record<string, Vector>)
}

describe('Spark reads what nigh wrote', () => {
  test('versions', async () => {
    await writeDelta(at('ours'), [table(0, 5)])
    await writeDelta(at('ours'), [table(5, 5)], { mode: 'append' })
    await writeDelta(at('ours'), [table(50, 2)], { mode: 'overwrite' })
    expect(await ids('ours')).toEqual([50, 51])
    expect(await ids('ours', 'VERSION AS OF 1')).toEqual(range(0, 10))
    const [row] = await spark.sql(`SELECT vector FROM delta.\`${at('ours')}\` WHERE id = 51`)
    expect(row).toEqual({ vector: [51, 0, 0, 0] })
    const history = await spark.sql(`DESCRIBE HISTORY delta.\`${at('ours')}\``)
    expect(history.map(({ version, operation }) => [version, operation])).toEqual([
      [2, 'WRITE'],
      [1, 'WRITE'],
      [0, 'CREATE TABLE'],
    ])
  })

  test('partitions, by a filter on them and on statistics', async () => {
    const columns = {
      country: vectorFromArray(['FR', null, 'a b/ü=%', 'FR'], new Utf8()),
      day: vectorFromArray([1, 2, null, 1], new Int32()),
    }
    await writeDelta(at('parts'), [table(0, 4, columns)], { partitionBy: ['country', 'day'] })
    const rows = await spark.sql(`SELECT id, country, day FROM delta.\`${at('parts')}\` ORDER BY id`)
    expect(rows.map(({ country, day }) => [country, day])).toEqual([
      ['FR', 1],
      [null, 2],
      ['a b/ü=%', null],
      ['FR', 1],
    ])
    const where = (what: string) => spark.sql(`SELECT id FROM delta.\`${at('parts')}\` WHERE ${what} ORDER BY id`)
    expect(idsOf((await where("country = 'a b/ü=%'")) as { id: number }[])).toEqual([2])
    expect(idsOf((await where('country IS NULL')) as { id: number }[])).toEqual([1])
    expect(idsOf((await where('id >= 2')) as { id: number }[])).toEqual([2, 3])
  })

  test('and goes on writing', async () => {
    await spark.sql(`DELETE FROM delta.\`${at('ours')}\` WHERE id = 50`)
    await spark.sql(`INSERT INTO delta.\`${at('ours')}\` SELECT id, ${vector} FROM range(7, 9)`)
    expect(idsOf(own('ours'))).toEqual([7, 8, 51])
  })
})

describe('nigh reads what Spark wrote', () => {
  test('deletion vectors', async () => {
    await create('deleted', 'range(0, 1000, 1, 1)', { enableDeletionVectors: 'true' }, ", 'n' || id AS name")
    await spark.sql(`DELETE FROM delta.\`${at('deleted')}\` WHERE id % 3 = 0`)
    const kept = range(0, 1000).filter((id) => id % 3 !== 0)
    expect(await facts(at('deleted'))).toMatchObject({ numFiles: 1, deletedRows: 334, numRows: 666 })
    const rows = own('deleted', 'name')
    expect(idsOf(rows)).toEqual(kept)
    expect(rows.map(({ name }) => name)).toEqual(kept.map((id) => `n${id}`))
    await spark.sql(`DELETE FROM delta.\`${at('deleted')}\` WHERE id < 990`)
    expect(idsOf(own('deleted'))).toEqual([991, 992, 994, 995, 997, 998])
    expect(idsOf(rowsThroughJoin(directory, `delta:${at('deleted')}@v0`))).toEqual(range(0, 1000))
  })

  test.each(['name', 'id'])('column mapping by %s: columns renamed, dropped and added', async (mode) => {
    const name = `mapped-${mode}`
    const columns = ", named_struct('x', int(id), 'y', string(id)) AS point, id * 2 AS gone, string(id % 2) AS part"
    const properties = `'delta.columnMapping.mode' = '${mode}'`
    await spark.sql(
      `CREATE TABLE delta.\`${at(name)}\` USING delta PARTITIONED BY (part) TBLPROPERTIES (${properties}) AS SELECT id, ${vector} ${columns} FROM range(0, 4, 1, 1)`,
    )
    const alter = (what: string) => spark.sql(`ALTER TABLE delta.\`${at(name)}\` ${what}`)
    await alter('RENAME COLUMN point TO place')
    await alter('RENAME COLUMN place.x TO east')
    await alter('RENAME COLUMN part TO side')
    await alter('DROP COLUMN gone')
    await alter('ADD COLUMN gone STRING')
    await spark.sql(
      `INSERT INTO delta.\`${at(name)}\` (id, vector, place, gone, side) SELECT id, ${vector}, NULL, 'new', NULL FROM range(4, 5)`,
    )
    const rows = own(name, 'place', 'gone', 'side').map((row) =>
      JSON.parse(JSON.stringify(row, (_, v) => (typeof v === 'bigint' ? Number(v) : v))),
    )
    expect(rows.map(({ place }) => place)).toEqual([...range(0, 4).map((i) => ({ east: i, y: `${i}` })), null])
    expect(rows.map(({ gone }) => gone)).toEqual([null, null, null, null, 'new'])
    expect(rows.map(({ side }) => side)).toEqual(['0', '1', '0', '1', null])
  })

  test('a checkpoint of version 2 with commits behind it', async () => {
    await create('v2', 'range(0, 5)', { checkpointPolicy: 'v2', checkpointInterval: '2' })
    for (let i = 1; i < 4; i++)
      await spark.sql(`INSERT INTO delta.\`${at('v2')}\` SELECT id, ${vector} FROM range(${5 * i}, ${5 * i + 5})`)
    expect(idsOf(own('v2'))).toEqual(range(0, 20))
  })

  test('types widened after files were written', async () => {
    await create('wide', 'range(0, 2, 1, 1)', { enableTypeWidening: 'true' }, ', int(id) AS n')
    await spark.sql(`ALTER TABLE delta.\`${at('wide')}\` ALTER COLUMN n TYPE BIGINT`)
    await spark.sql(`INSERT INTO delta.\`${at('wide')}\` SELECT id, ${vector}, 5000000000 FROM range(2, 3)`)
    expect(own('wide', 'n').map(({ n }) => n)).toEqual([0n, 1n, 5000000000n])
  })
})

describe('nigh writes into what Spark made', () => {
  test('with column mapping and deletion vectors', async () => {
    await create(
      'both',
      'range(0, 4, 1, 1)',
      { 'columnMapping.mode': 'name', enableDeletionVectors: 'true' },
      ', id * 2 AS twice',
    )
    await spark.sql(`ALTER TABLE delta.\`${at('both')}\` RENAME COLUMN twice TO double`)
    await spark.sql(`DELETE FROM delta.\`${at('both')}\` WHERE id = 1`)
    const double = (values: number[]) => ({ double: vectorFromArray(values.map(BigInt)) })
    await writeDelta(at('both'), [table(4, 2, double([8, 10]))], { mode: 'append' })
    const rows = await spark.sql(`SELECT id, double FROM delta.\`${at('both')}\` ORDER BY id`)
    expect(rows.map(({ id, double }) => [id, double])).toEqual([0, 2, 3, 4, 5].map((id) => [id, 2 * id]))
    await writeDelta(at('both'), [table(9, 1, double([18]))], { mode: 'overwrite' })
    expect(await spark.sql(`SELECT id, double FROM delta.\`${at('both')}\``)).toEqual([{ id: 9, double: 18 }])
    expect(idsOf(own('both'))).toEqual([9])
  })

  test('what it cannot keep is refused by name', async () => {
    await create('checked', 'range(0, 2)')
    await spark.sql(`ALTER TABLE delta.\`${at('checked')}\` ADD CONSTRAINT positive CHECK (id >= 0)`)
    await expect(writeDelta(at('checked'), [table(-1, 1)], { mode: 'append' })).rejects.toMatchObject({
      code: 'DELTA_UNSUPPORTED',
      message: expect.stringMatching(/checkConstraints|constraint/i),
    })
    expect(idsOf(own('checked'))).toEqual([0, 1])
  })
})
