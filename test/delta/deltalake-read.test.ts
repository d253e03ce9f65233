// What Python's deltalake wrote, as nigh reads it.
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { nigh, runPython, temporaryDirectory } from '../support/run.ts'
import { facts, idsOf, isDelta, rowsThroughJoin } from './support.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const rows = (path: string, ...columns: string[]) => rowsThroughJoin(directory, path, columns)
const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i)
beforeAll(() => void runPython('../delta/make_deltalake.py', directory))

describe('versions', () => {
  test('the newest, with and without delta: in front', () => {
    expect(idsOf(rows(at('history')))).toEqual([100, 101, 102])
    expect(idsOf(rows(`delta:${at('history')}`))).toEqual([100, 101, 102])
    expect(isDelta(at('history'))).toBe(true)
    expect(isDelta(directory)).toBe(false)
  })

  test('by number', async () => {
    expect(idsOf(rows(`delta:${at('history')}@v0`))).toEqual(range(0, 10))
    expect(idsOf(rows(`delta:${at('history')}@v1`))).toEqual(range(0, 20))
    expect(idsOf(rows(`delta:${at('history')}@v2`))).toEqual(range(5, 20))
    expect(await facts(at('history'), 2)).toMatchObject({ version: 2, numRows: 15 })
    expect(await facts(at('history'))).toMatchObject({ version: 3, numRows: 3, numFiles: 1, partitionColumns: [] })
  })

  test('by time: the newest committed at or before it', async () => {
    // A commit is as old as its file, unless the table has times in its commits.
    const times = range(0, 4).map((i) => statSync(at(`history/_delta_log/0000000000000000000${i}.json`)).mtimeMs)
    for (const [version, time] of times.entries()) {
      expect((await facts(at('history'), undefined, Math.floor(time) + 1)).version).toBe(version)
      expect((await facts(at('history'), version)).timestampMs).toBe(Math.floor(time))
    }
    expect((await facts(at('history'), undefined, Date.now() + 1e6)).version).toBe(3)
    await expect(facts(at('history'), undefined, times[0]! - 60_000)).rejects.toMatchObject({ code: 'DELTA_VERSION' })
  })

  test('one that is not there', async () => {
    await expect(facts(at('history'), 4)).rejects.toMatchObject({
      code: 'DELTA_VERSION',
      message: expect.stringMatching(/no version 4; the newest is 3/),
    })
    expect(nigh(['join', `delta:${at('history')}@v9`, '--self', '--out', at('x.arrow')]).stderr).toContain(
      'error[DELTA_VERSION]',
    )
  })

  test('from a checkpoint whose commits are gone', async () => {
    expect(readdirSync(at('checkpoint/_delta_log')).filter((name) => name.endsWith('0.json'))).toEqual([
      '00000000000000000010.json',
    ])
    expect(idsOf(rows(at('checkpoint')))).toEqual(range(0, 140))
    expect(idsOf(rows(`delta:${at('checkpoint')}@v12`))).toEqual(range(0, 130))
    await expect(facts(at('checkpoint'), 3)).rejects.toMatchObject({ code: 'DELTA_VERSION' })
  })
})

describe('columns', () => {
  test('partition values: nulls, dates, and characters that a path escapes', () => {
    const found = rows(at('partitions'), 'country', 'day')
    expect(found.map((row) => row.country)).toEqual(['FR', 'a b', 'x/y=z', '50%', 'ü:?#', null, 'FR', null])
    const day = Date.UTC(2026, 0, 1)
    expect(found.map((row) => Number(row.day))).toEqual(range(0, 8).map((i) => day + (i % 2) * 86_400_000))
  })

  test('every type, with nulls', async () => {
    const names = ['i8', 'i16', 'i32', 'i64', 'f32', 'f64', 'price', 'text', 'raw', 'flag', 'day', 'at', 'local']
    const found = rows(at('types'), ...names, 'tags', 'point', 'counts')
    const plain = found.map((row) => JSON.parse(JSON.stringify(row, (_, v) => (typeof v === 'bigint' ? `${v}` : v))))
    for (const name of names) expect(plain[1][name]).toBeNull()
    expect(plain[0]).toMatchObject({ i8: 1, i16: 1, i32: 1, i64: '1', f32: 0.5, f64: 0.1, text: '', flag: true })
    expect(plain[2]).toMatchObject({ i8: -128, i32: -(2 ** 31), i64: `${-(2n ** 63n)}`, text: 'naïve 🙂', flag: false })
    expect([...(found[2]!.raw as Uint8Array)]).toEqual([0, 255])
    const types = Object.fromEntries((await facts(at('types'))).schema.map(({ name, type }) => [name, type]))
    expect(types).toMatchObject({ i8: 'Int8', i64: 'Int64', text: 'Utf8', raw: 'Binary', day: 'Date32' })
    expect(types).toMatchObject({ price: 'Decimal128(10, 2)', at: 'Timestamp(µs, "UTC")', local: 'Timestamp(µs)' })
    expect(JSON.stringify(plain[0].tags)).toBe('["a",null]')
    expect(plain[0].point).toEqual({ x: 1, y: 'a' })
    expect(Number(found[2]!.at)).toBeCloseTo(Date.UTC(2026, 1, 3, 4, 5, 6, 789) + 0.012, 3)
  })

  test('a column added later is null in older files', () => {
    expect(rows(at('evolved'), 'extra').map((row) => row.extra)).toEqual([null, null, 'p', 'q'])
  })

  test('no rows', async () => {
    expect((await facts(at('empty'))).numRows).toBe(0)
    expect(nigh(['join', at('empty'), '--self', '--out', at('empty.arrow'), '--vector', 'x']).stderr).toContain(
      'COLUMN_NOT_FOUND',
    )
    expect(nigh(['join', at('empty'), '--self', '-q', '--out', at('empty.arrow')]).stderr).toBe('')
  })
})

test('inspect', () => {
  const ran = nigh(['inspect', at('partitions'), '--format', 'json'])
  expect(ran.stderr).toBe('')
  const { rows, schema, vectors } = JSON.parse(ran.stdout)
  expect(rows).toBe(8)
  expect(schema.map(({ name }: { name: string }) => name)).toEqual(['id', 'vector', 'country', 'day'])
  expect(vectors[0]).toMatchObject({ column: 'vector', dim: 4, validRows: 8 })
})

describe('refusals', () => {
  const copy = (name: string) => {
    cpSync(at('history'), at(name), { recursive: true })
    return at(name)
  }
  const commit = (table: string, version: number) =>
    join(table, '_delta_log', `${String(version).padStart(20, '0')}.json`)

  test('no table', async () => {
    mkdirSync(at('plain'))
    await expect(facts(`delta:${at('plain')}`)).rejects.toMatchObject({ code: 'NOT_A_DELTA_TABLE' })
    mkdirSync(at('begun/_delta_log'), { recursive: true })
    copyFileSync(readdirSync(at('empty')).length ? commit(at('history'), 0) : '', at('begun/x.parquet'))
    await expect(facts(at('begun'))).rejects.toMatchObject({ code: 'NOT_A_DELTA_TABLE' })
  })

  test('a feature of the protocol, by name', async () => {
    const table = copy('feature')
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['timeMachine'],
      writerFeatures: ['timeMachine'],
    }
    writeFileSync(commit(table, 4), `${JSON.stringify({ protocol })}\n`)
    await expect(facts(table)).rejects.toMatchObject({
      code: 'DELTA_UNSUPPORTED',
      message: expect.stringContaining('timeMachine'),
    })
    expect((await facts(table, 3)).version).toBe(3)
  })

  test('a damaged commit, by its file', async () => {
    const table = copy('damaged')
    writeFileSync(commit(table, 2), readFileSync(commit(table, 2)).subarray(0, 40))
    await expect(facts(table)).rejects.toMatchObject({
      code: 'CORRUPT_FILE',
      message: expect.stringContaining('00000000000000000002.json'),
    })
  })

  test('a missing commit', async () => {
    const table = copy('gap')
    cpSync(commit(table, 3), commit(table, 4))
    cpSync(commit(table, 3), commit(table, 6))
    await expect(facts(table)).rejects.toMatchObject({ code: 'CORRUPT_FILE' })
  })

  test('a missing data file', () => {
    const table = copy('lost')
    cpSync(at('history'), table, { recursive: true, filter: (path) => !path.endsWith('.parquet') })
    const lost = readFileSync(commit(table, 3), 'utf8').match(/"add":\{"path":"([^"]+)"/)![1]!
    writeFileSync(join(table, lost), '')
    expect(nigh(['join', table, '--self', '--out', at('x.arrow')]).stderr).toContain(lost)
  })
})
