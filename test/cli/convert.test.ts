import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Field, FixedSizeList, Float32, Float64, Int64, Schema, tableFromIPC, Utf8 } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { fromRows, readTable, tableToRows } from '../../src/index.ts'
import { nigh, nighStarted, temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const items = at('items.parquet')

const schema = new Schema([
  new Field('id', new Int64(), false),
  new Field('country', new Utf8(), true),
  new Field('price', new Float64(), true),
  new Field('vector', new FixedSizeList(2, new Field('element', new Float32(), false)), false),
])
const rows = Array.from({ length: 300 }, (_, i) => ({
  id: BigInt(i),
  country: ['FR', 'DE', null][i % 3]!,
  price: i % 10 === 9 ? null : i / 4,
  vector: [i, i / 2],
}))

beforeAll(() => fromRows(rows, schema).write(items))

const read = async (path: string) => (await readTable(path)).toRows()
const names = async (path: string) => (await (await readTable(path)).schema()).names
const byId = <T extends { [column: string]: unknown }>(table: T[]) =>
  [...table].sort((a, b) => Number(a.id) - Number(b.id))

test('Parquet to Arrow IPC to Parquet: every row, a summary', async () => {
  const ran = nigh(['convert', items, at('items.arrow')])
  expect(ran).toMatchObject({ code: 0, stdout: '' })
  expect(ran.stderr).toMatch(/^300 rows, 1 file, [\d.]+ kB: [\d.]+ m?s -> .*items\.arrow\n$/)
  expect(readFileSync(at('items.arrow')).subarray(0, 6).toString()).toBe('ARROW1')
  expect(await read(at('items.arrow'))).toEqual(rows)
  expect(nigh(['convert', at('items.arrow'), at('back.parquet'), '-q'])).toMatchObject({ code: 0, stderr: '' })
  expect(readFileSync(at('back.parquet')).subarray(0, 4).toString()).toBe('PAR1')
  expect(await read(at('back.parquet'))).toEqual(rows)
})

test('an Arrow IPC stream, from stdin to stdout', () => {
  expect(nigh(['convert', items, at('items.arrows')]).code).toBe(0)
  const { code, bytes } = nigh(['convert', '-', '-', '--columns', 'id', '-q'], {
    input: readFileSync(at('items.arrows')),
  })
  expect(code).toBe(0)
  expect(tableToRows(tableFromIPC(bytes))).toEqual(rows.map(({ id }) => ({ id })))
})

test('some columns of some rows, in the order asked for', async () => {
  const args = ['--columns', 'vector,id', '--filter', "country = 'FR' and price < 10"]
  expect(nigh(['convert', items, at('part.arrow'), ...args]).code).toBe(0)
  const wanted = rows.filter(({ country, price }) => country === 'FR' && price !== null && price < 10)
  expect(wanted.length).toBeGreaterThan(5)
  expect(await names(at('part.arrow'))).toEqual(['vector', 'id'])
  expect(await read(at('part.arrow'))).toEqual(wanted.map(({ id, vector }) => ({ vector, id })))
})

test('a directory of partitions, more rows for it, and back to a file', async () => {
  const by = ['--partition-by', 'country']
  expect(nigh(['convert', items, at('by-country'), ...by, '--filter', 'id < 100']).code).toBe(0)
  expect(readdirSync(at('by-country')).sort()).toEqual([
    'country=DE',
    'country=FR',
    'country=__HIVE_DEFAULT_PARTITION__',
  ])
  const rest = ['--filter', 'id >= 100']
  const refused = nigh(['convert', items, at('by-country'), ...by, ...rest])
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/OUTPUT_EXISTS.*by-country.*append/) })
  expect(nigh(['convert', items, at('by-country'), ...by, ...rest, '--mode', 'append']).code).toBe(0)
  const back = nigh(['convert', at('by-country'), at('one.parquet'), '--columns', 'id,country,price,vector'])
  expect(back.stderr).toMatch(/^300 rows, 1 file/)
  expect(byId(await read(at('one.parquet')))).toEqual(rows)
})

test('a Delta table, version by version', async () => {
  const to = `delta:${at('catalog')}`
  expect(nigh(['convert', items, to, '--filter', 'id < 100']).stderr).toMatch(/^100 rows, 1 file, .*, version 0: /)
  const more = ['--filter', 'id >= 100']
  expect(nigh(['convert', items, to, ...more])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/OUTPUT_EXISTS/),
  })
  const appended = nigh(['convert', items, at('catalog'), '--format', 'delta', '--mode', 'append', ...more])
  expect(appended.stderr).toMatch(/^200 rows, 1 file, .*, version 1: /)
  expect(nigh(['convert', at('catalog'), at('latest.parquet')]).code).toBe(0)
  expect(byId(await read(at('latest.parquet')))).toEqual(rows)
  expect(nigh(['convert', to, at('first.arrow'), '--version', '0']).code).toBe(0)
  expect(byId(await read(at('first.arrow')))).toEqual(rows.slice(0, 100))
  const wrong = nigh(['convert', to, at('none.arrow'), '--version', '7'])
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/DELTA_VERSION.*7.*newest is 1/) })
})

test('an output that is there stays, unless it is to be replaced', async () => {
  const args = ['convert', items, at('there.parquet'), '--columns', 'id']
  expect(nigh(args).code).toBe(0)
  const before = readFileSync(at('there.parquet'))
  const again = nigh([...args, '--filter', 'id < 5'])
  expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/OUTPUT_EXISTS.*there\.parquet.*overwrite/) })
  expect(readFileSync(at('there.parquet'))).toEqual(before)
  expect(nigh([...args, '--filter', 'id < 5', '--mode', 'overwrite']).code).toBe(0)
  expect(await read(at('there.parquet'))).toHaveLength(5)
})

test('mistakes are told before anything is written', { timeout: 180_000 }, () => {
  const fails = (args: string[], text: RegExp, code = 1) => {
    const ran = nigh(['convert', ...args])
    expect(ran.stderr).toMatch(text)
    expect([args, ran.code]).toEqual([args, code])
  }
  const out = at('wrong.arrow')
  fails([], /error\[USAGE\]: which table\?/, 2)
  fails([items], /error\[USAGE\]: where to\?/, 2)
  fails([items, out, items], /error\[USAGE\]: .* third path/, 2)
  fails([items, out, '--colums', 'id'], /Did you mean --columns\?/, 2)
  fails([items, out, '--columns', 'id,nme'], /COLUMN_NOT_FOUND\]: .*"nme".*"price"/)
  fails([items, out, '--filter', 'contry = 1'], /COLUMN_NOT_FOUND\]: .*"contry".*did you mean "country"/)
  fails([items, out, '--filter', "id > 'x'"], /FILTER_INVALID\]: .*'x' is no number.*column "id" \(Int64\)/)
  fails([items, out, '--filter', 'price <'], /FILTER_INVALID\]: filter "price <"/)
  fails([items, out, '--mode', 'apend'], /INVALID_OPTION\]: mode: .*apend/, 2)
  fails([items, out, '--mode', 'append'], /INVALID_OPTION\]: .*appended/, 2)
  fails([items, out, '--format', 'parquet'], /OUTPUT_FORMAT\]: .*wrong\.arrow/)
  fails([items, out, '--format', 'orc'], /INVALID_OPTION\]: format: .*orc/, 2)
  fails([items, out, '--version', '1'], /INVALID_OPTION\]: .*version.*Delta/, 2)
  fails([items, at('wrong'), '--partition-by', 'nme'], /COLUMN_NOT_FOUND\]: .*"nme"/)
  fails([items, at('wrong.csv')], /OUTPUT_FORMAT\]: .*\.csv is no format/)
  fails([at('nowhere.parquet'), out], /FILE_NOT_FOUND\]: .*nowhere\.parquet/)
  const notTable = nigh(['convert', '-', out], { input: Buffer.from('hello') })
  expect(notTable.stderr).toMatch(/NOT_A_TABLE\]: stdin/)
  expect(readdirSync(directory).filter((name) => name.includes('wrong'))).toEqual([])
})

test('help teaches', () => {
  expect(nigh(['convert', '--help']).stdout).toMatch(
    /nigh convert IN OUT[\s\S]*--filter SQL[\s\S]*Examples:[\s\S]*--mode append/,
  )
  expect(nigh(['--help']).stdout).toMatch(/nigh convert IN OUT/)
})

/** Waits until something is being written. */
async function atWork(name: string): Promise<void> {
  for (let i = 0; i < 1200; i++) {
    if (readdirSync(directory).some((entry) => entry.startsWith(`.${name}`))) return
    await sleep(5)
  }
  throw new Error('nothing was written in 6 s')
}

test.each([
  ['SIGINT', 130, 'stopped.parquet'],
  ['SIGINT', 130, 'stopped'],
  ['SIGKILL', null, 'killed.parquet'],
  ['SIGKILL', null, 'killed'],
] as const)('%s on the way leaves nothing that a reader sees', async (signal, code, out) => {
  const large = at('large.arrows')
  if (!existsSync(large)) writeClustered(large, { rows: 200_000, dim: 128 })
  const { child, ended } = nighStarted(['convert', large, at(out)])
  await atWork(out)
  child.kill(signal)
  expect((await ended).code).toBe(code)
  expect(existsSync(at(out))).toBe(false)
  const left = () => readdirSync(directory).filter((name) => name.startsWith(`.${out}`))
  if (signal === 'SIGINT') expect(left()).toEqual([])
  // What was killed cannot clean up: the next run does.
  expect(nigh(['convert', items, at(out)]).code).toBe(0)
  expect(left()).toEqual([])
  expect(await read(at(out))).toEqual(rows)
})
