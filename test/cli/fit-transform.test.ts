import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableToIPC } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { arrowTable } from '../support/arrow.ts'
import { nigh, nighStarted, readReport, readRows, runPython, temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const items = at('items.parquet')
const write = (name: string, value: unknown) => {
  writeFileSync(at(name), JSON.stringify(value))
  return at(name)
}
const pipeline = () =>
  write('pipeline.json', {
    stages: [
      { kind: 'VectorConverter', inputCol: 'raw', outputCol: 'floats' },
      { kind: 'Normalizer', inputCol: 'floats', outputCol: 'unit' },
      { kind: 'NearestNeighbors', featuresCol: 'unit', k: 3 },
    ],
  })

beforeAll(() => void runPython('items_parquet.py', items))

test('fit, then transform: progress, a summary, every column', () => {
  const fitted = nigh(['fit', pipeline(), items, '--out', at('model')])
  expect(fitted).toMatchObject({ code: 0, stdout: '' })
  expect(fitted.stderr).toMatch(
    /^read .*\nwrite .*\nVectorConverter, Normalizer, NearestNeighborsModel of 3 items, 2 dimensions: .* -> /,
  )
  const report = at('report.json')
  const asked = nigh(['transform', at('model'), items, '-o', at('out.arrow'), '--report', report, '--threads', '1'])
  expect(asked).toMatchObject({ code: 0, stdout: '' })
  expect(asked.stderr).toMatch(/3 queries x 3 items: exact/)
  expect(readReport(report)).toMatchObject({ machine: { threads: 1 }, rows: { neighbors: 9 } })
  const rows = readRows(at('out.arrow'))
  expect(Object.keys(rows[0]!)).toEqual(['id', 'raw', 'name', 'floats', 'unit', 'neighbors'])
  expect(rows.map(({ neighbors }) => neighbors.map(({ neighbor }) => Number(neighbor)))).toEqual([
    [1, 3, 2],
    [2, 3, 1],
    [3, 2, 1],
  ])
  const again = nigh(['transform', at('model'), items, '-o', at('out.arrow')])
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('error[OUTPUT_EXISTS]') })
  expect(nigh(['transform', at('model'), items, '-o', at('out.arrow'), '--force', '-q'])).toMatchObject({
    code: 0,
    stderr: '',
  })
})

test('into a Delta table, which --mode appends to or replaces', () => {
  nigh(['fit', pipeline(), items, '--out', at('for-delta')])
  const asked = (...mode: string[]) =>
    nigh(['transform', at('for-delta'), items, '-o', `delta:${at('table')}`, '-q', ...mode])
  const rows = () => nigh(['inspect', at('table')]).stdout.split('\n')[0]
  expect(asked()).toMatchObject({ code: 0, stderr: '' })
  expect(asked()).toMatchObject({ code: 1, stderr: expect.stringContaining('error[OUTPUT_EXISTS]') })
  expect(asked('--mode', 'append')).toMatchObject({ code: 0, stderr: '' })
  expect(rows()).toMatch(/^6 rows/)
  expect(asked('--mode', 'overwrite')).toMatchObject({ code: 0, stderr: '' })
  expect(rows()).toMatch(/^3 rows/)
  expect(asked('--mode', 'append', '--force').stderr).toMatch(/clashes with --force/)
})

test('from stdin to stdout', () => {
  nigh(['fit', pipeline(), items, '--out', at('piped')])
  const query = arrowTable({ raw: ['floats', [[0.5, 1]]] })
  const { code, bytes } = nigh(['transform', at('piped'), '-', '--out', '-', '-q'], {
    input: tableToIPC(query, 'stream'),
  })
  expect(code).toBe(0)
  expect(Number(readRows(bytes)[0]!.neighbors[0]!.neighbor)).toBe(3)
})

test('mistakes are told before the work', { timeout: 180_000 }, () => {
  const fails = (args: string[], text: RegExp, code = 2) => {
    const ran = nigh(args)
    expect(ran.stderr).toMatch(text)
    expect(ran.code).toBe(code)
  }
  fails(['fit'], /error\[USAGE\]: which pipeline/)
  fails(['fit', pipeline()], /error\[USAGE\]: which items/)
  fails(['fit', pipeline(), items], /error\[USAGE\]: --out MODEL is required/)
  fails(['fit', at('nowhere.json'), items, '-o', at('m')], /error\[INVALID_OPTION\]: pipeline: .*nowhere\.json/)
  fails(
    ['fit', write('bad.json', { kind: 'Normalizer', pp: 1 }), items, '-o', at('m')],
    /error\[INVALID_OPTION\]: pp: no such/,
  )
  fails(['fit', pipeline(), items, '-o', directory], /error\[NOT_A_MODEL\]/, 1)
  fails(['fit', pipeline(), items, '-o', join(items, 'm')], /error\[OUTPUT_UNWRITABLE\]/, 1)
  fails(['transform', at('model')], /error\[USAGE\]: a model and queries/)
  fails(['transform', at('model'), items], /error\[USAGE\]: --out OUT is required/)
  fails(['transform', items, items, '-o', at('x.arrow')], /error\[NOT_A_MODEL\]/, 1)
  nigh(['fit', pipeline(), items, '--out', at('kept')])
  const before = readFileSync(join(at('kept'), 'manifest.json'))
  fails(['fit', pipeline(), items, '--out', at('kept')], /error\[MODEL_EXISTS\]/, 1)
  fails(['fit', pipeline(), items, '--out', at('kept'), '--quit'], /Did you mean --quiet/)
  expect(readFileSync(join(at('kept'), 'manifest.json'))).toEqual(before)
  const spoilt = write('other.json', { kind: 'NearestNeighbors', featuresCol: 'name' })
  fails(['fit', spoilt, items, '--out', at('kept'), '--force'], /error\[COLUMN_TYPE\].*"name"/, 1)
  expect(readFileSync(join(at('kept'), 'manifest.json'))).toEqual(before)
})

test('help teaches; --explain tells the params', () => {
  expect(nigh(['fit', '--help']).stdout).toMatch(/PIPELINE\.json[\s\S]*"kind": "NearestNeighbors"[\s\S]*Examples:/)
  expect(nigh(['transform', '--help']).stdout).toMatch(/Examples:/)
  expect(nigh(['--help']).stdout).toMatch(/nigh fit PIPELINE\.json ITEMS/)
  expect(nigh(['fit', pipeline(), '--explain']).stdout).toMatch(
    /NearestNeighbors\n {2}idCol: [\s\S]* {2}k: .*current: 3/,
  )
})

test('Ctrl-C leaves no model', async () => {
  const large = at('large.arrows')
  writeClustered(large, { rows: 150_000, dim: 64 })
  const recall = write('recall.json', { kind: 'NearestNeighbors', recall: 0.99, k: 50 })
  const { child, ended } = nighStarted(['fit', recall, large, '--out', at('stopped')])
  // Its first line says that the items are read: now they are put into lists.
  await once(child.stderr!, 'data')
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 130 })
  expect(existsSync(at('stopped'))).toBe(false)
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([])
})
