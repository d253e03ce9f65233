// What nigh writes, as nigh and Python's deltalake read it.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  Table,
  TimestampNanosecond,
  Uint8,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { nigh, temporaryDirectory } from '../support/run.ts'
import { deltaWriter, facts, idsOf, readDeltalake, rowsThroughJoin, writeDelta } from './support.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const DIM = 4

function rows(first: number, count: number, columns: Record<string, Vector> = {}): Table {
  const values = new Float32Array(count * DIM)
  for (let i = 0; i < count; i++) values[i * DIM] = first + i
  const type = new FixedSizeList(DIM, new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: values })
  const vector = new Vector([makeData({ type, child, length: count })])
  const id = vectorFromArray(
    Array.from({ length: count }, (_, i) => BigInt(first + i)),
    new Int64(),
  )
  return new Table({ id, vector, ...columns } as Record<string, Vector>)
}

const files = (table: string) =>
  readdirSync(table, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.parquet'))

describe('create, append, overwrite', () => {
  const table = at('versions')

  test('each is a version that others read', async () => {
    expect(await writeDelta(table, [rows(0, 5), rows(5, 5)])).toMatchObject({ version: 0, rows: 10, files: 1 })
    expect(await writeDelta(table, [rows(10, 5)], { mode: 'append' })).toMatchObject({ version: 1, rows: 5 })
    expect(await writeDelta(table, [rows(50, 2)], { mode: 'overwrite' })).toMatchObject({ version: 2, rows: 2 })
    const last = readDeltalake(table)
    expect([last.version, last.rows]).toEqual([
      2,
      [
        { id: 50, vector: [50, 0, 0, 0] },
        { id: 51, vector: [51, 0, 0, 0] },
      ],
    ])
    expect(idsOf(readDeltalake(table, '1').rows as { id: number }[])).toEqual([...Array(15).keys()])
    expect(idsOf(rowsThroughJoin(directory, `delta:${table}@v1`))).toEqual([...Array(15).keys()])
    expect(idsOf(rowsThroughJoin(directory, table))).toEqual([50, 51])
  })

  test('mode error leaves a table alone', async () => {
    await expect(writeDelta(table, [rows(0, 1)])).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    expect((await facts(table)).version).toBe(2)
  })

  test('a directory of something else is no place for a table', async () => {
    mkdirSync(at('other'))
    writeFileSync(at('other/notes.txt'), 'mine')
    await expect(writeDelta(at('other'), [rows(0, 1)], { mode: 'overwrite' })).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
    })
  })

  test('other columns are refused with their types', async () => {
    const wrong = async (columns: Record<string, Vector>, message: RegExp) => {
      await expect(writeDelta(table, [rows(0, 1, columns)], { mode: 'append' })).rejects.toMatchObject({
        code: 'SCHEMA_MISMATCH',
        message: expect.stringMatching(message),
      })
    }
    await wrong({ extra: vectorFromArray(['a'], new Utf8()) }, /no column "extra" \(Utf8\)/)
    await wrong({ id: vectorFromArray([1], new Float64()) }, /column "id" is Float64 here and Int64 in the table/)
    const before = files(table).length
    const short = new Table({ id: vectorFromArray([1n]) } as Record<string, Vector>)
    await expect(writeDelta(table, [short], { mode: 'overwrite' })).rejects.toMatchObject({
      code: 'SCHEMA_MISMATCH',
      message: expect.stringMatching(/column "vector" \(List\(.*Float32.*\) of the table is missing/),
    })
    expect(files(table).length).toBe(before)
  })
})

describe('types', () => {
  test('those Delta does not have are widened', async () => {
    const columns = {
      u8: vectorFromArray([255, 0], new Uint8()),
      u64: vectorFromArray([2n ** 64n - 1n, null], new Uint64()),
      kind: vectorFromArray(['a', 'a']),
    }
    await writeDelta(at('widened'), [rows(0, 2, columns)])
    const { rows: read, schema } = readDeltalake(at('widened'))
    expect(Object.fromEntries(schema)).toMatchObject({ u8: 'int16', u64: 'decimal128(20, 0)', kind: 'string' })
    expect(read[0]).toMatchObject({ u8: 255, u64: '18446744073709551615', kind: 'a' })
    expect(read[1]).toMatchObject({ u8: 0, u64: null })
  })

  test('a time finer than microseconds is an error, never rounded', async () => {
    const type = new TimestampNanosecond('UTC')
    const column = (ns: bigint) => new Vector([makeData({ type, data: BigInt64Array.of(ns) })])
    await writeDelta(at('times'), [rows(0, 1, { at: column(5_000n) })])
    await expect(
      writeDelta(at('times'), [rows(0, 1, { at: column(5_001n) })], { mode: 'append' }),
    ).rejects.toMatchObject({
      code: 'COLUMN_TYPE',
      message: expect.stringMatching(/"at".*nanoseconds.*5001/),
    })
  })
})

describe('partitions', () => {
  const country = ['FR', null, 'a b/ü=%', '', 'FR']
  const day = [1, 2, null, 1, 1]
  const columns = {
    country: vectorFromArray(country, new Utf8()),
    day: vectorFromArray(day, new Int32()),
  }

  test('values with nulls and odd characters come back from either reader', async () => {
    const written = await writeDelta(at('parts'), [rows(0, 5, columns)], { partitionBy: ['country', 'day'] })
    expect(written).toMatchObject({ rows: 5, files: 4 })
    expect((await facts(at('parts'))).partitionColumns).toEqual(['country', 'day'])
    const { rows: read, partitionColumns } = readDeltalake(at('parts'))
    expect(partitionColumns).toEqual(['country', 'day'])
    // An empty text as a partition value is null: the protocol has it so.
    const expected = country.map((value) => value || null)
    expect(read.map((row) => row.country)).toEqual(expected)
    expect(read.map((row) => row.day)).toEqual(day)
    const own = rowsThroughJoin(directory, at('parts'), ['country', 'day'])
    expect(own.map((row) => row.country)).toEqual(expected)
    expect(own.map((row) => row.day)).toEqual(day)
    expect(files(at('parts')).filter((name) => name.startsWith('country=FR/day=1/'))).toHaveLength(1)
  })

  test('an append keeps the partitioning, and may not change it', async () => {
    await writeDelta(at('parts'), [rows(5, 5, columns)], { mode: 'append' })
    expect(idsOf(readDeltalake(at('parts')).rows as { id: number }[])).toEqual([...Array(10).keys()])
    const other = writeDelta(at('parts'), [rows(0, 5, columns)], { mode: 'append', partitionBy: ['day'] })
    await expect(other).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
  })

  test('by a column that is not there, or of a type no path can have', async () => {
    const missing = writeDelta(at('no'), [rows(0, 1)], { partitionBy: ['day'] })
    await expect(missing).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
    await expect(writeDelta(at('no'), [rows(0, 1)], { partitionBy: ['vector'] })).rejects.toThrow(/vector/)
  })
})

test('statistics: counts, bounds and nulls; long texts are cut so that they still bound', async () => {
  const long = `${'z'.repeat(40)}ü`
  const columns = {
    name: vectorFromArray(['a'.repeat(50), null, long], new Utf8()),
    price: vectorFromArray([1.5, -2, null], new Float64()),
  }
  await writeDelta(at('statistics'), [rows(0, 3, columns)])
  const log = readFileSync(at('statistics/_delta_log/00000000000000000000.json'), 'utf8').trim().split('\n')
  const add = log.map((line) => JSON.parse(line)).find((action) => action.add).add
  const stats = JSON.parse(add.stats)
  expect(stats).toMatchObject({
    numRecords: 3,
    minValues: { id: 0, price: -2, name: 'a'.repeat(32) },
    maxValues: { id: 2, price: 1.5 },
    nullCount: { id: 0, name: 1, price: 1 },
  })
  expect(stats.maxValues.name.length).toBeLessThan(40)
  expect(stats.maxValues.name > long).toBe(true)
  expect(add.size).toBe(readFileSync(at(`statistics/${add.path}`)).length)
  expect(readDeltalake(at('statistics')).actions[0]).toMatchObject({ num_records: 3, 'min.id': 0, 'max.id': 2 })
})

test('every tenth commit leaves a checkpoint, which deltalake reads', async () => {
  for (let i = 0; i < 12; i++) await writeDelta(at('many'), [rows(10 * i, 10)], { mode: i ? 'append' : 'error' })
  const log = readdirSync(at('many/_delta_log'))
  expect(log.filter((name) => name.includes('checkpoint.parquet'))).toHaveLength(1)
  for (let i = 0; i < 10; i++) {
    const name = `${i}`.padStart(20, '0')
    cpSync(at(`many/_delta_log/${name}.json`), at(`moved-${name}.json`))
    writeFileSync(at(`many/_delta_log/${name}.json`), '')
  }
  expect(readDeltalake(at('many')).rows).toHaveLength(120)
  expect(rowsThroughJoin(directory, at('many'))).toHaveLength(120)
})

test('a write that is given up leaves nothing', async () => {
  const { writer, write } = deltaWriter(at('gone'), 'error', rows(0, 0))
  await write(rows(0, 10))
  expect(readdirSync(at('gone')).sort()).toEqual([expect.stringMatching(/^\.part-.*\.tmp$/), '_delta_log'])
  await writer.abort()
  expect(readdirSync(directory)).not.toContain('gone')
  await expect(write(rows(0, 10))).rejects.toMatchObject({ code: 'DISPOSED' })
})

describe('nigh join --out delta:', () => {
  const items = at('items')
  const join_ = (...args: string[]) => nigh(['join', items, '--self', '-k', '2', '-q', '--exact', ...args])

  test('neighbors as a table; --mode says what happens to one that exists', async () => {
    await writeDelta(items, [rows(0, 6)])
    const out = `delta:${at('neighbors')}`
    expect(join_('--out', out).stderr).toBe('')
    const { rows: read, version } = readDeltalake(at('neighbors'))
    expect(version).toBe(0)
    expect(read[3]).toEqual({
      id: 3,
      neighbors: [
        { neighbor: 2, distance: 1 },
        { neighbor: 4, distance: 1 },
      ],
    })
    expect(join_('--out', out).stderr).toContain('error[OUTPUT_EXISTS]')
    expect(join_('--out', out, '--mode', 'append').stderr).toBe('')
    expect((await facts(at('neighbors'))).numRows).toBe(12)
    expect(join_('--out', out, '--mode', 'overwrite').stderr).toBe('')
    expect(await facts(at('neighbors'))).toMatchObject({ version: 2, numRows: 6 })
    expect(join_('--out', at('n.parquet'), '--mode', 'append').stderr).toContain('INVALID_OPTION')
    const evaluated = nigh(['eval', at('neighbors'), '--items', items, '--self', '--format', 'json'])
    expect(evaluated.stderr).toBe('')
    expect(JSON.parse(evaluated.stdout).recall.estimate ?? JSON.parse(evaluated.stdout).recall).toBeTruthy()
  })
})
