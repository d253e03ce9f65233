import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableToIPC } from 'apache-arrow'
import { beforeAll, expect, test } from 'vitest'
import { arrowTable } from '../support/arrow.ts'
import { randomVectors, rowOf } from '../support/oracle.ts'
import { nigh, nighStarted, readRows, temporaryDirectory } from '../support/run.ts'

const DIM = 8
const ROWS = 2000
const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

/** Items from a row on, as an Arrow file, with a country. */
function writeItems(name: string, first: number, count: number): string {
  const vectors = randomVectors(first + count, DIM, 7)
  const rows = Array.from({ length: count }, (_, i) => first + i)
  const table = arrowTable({
    id: ['long', rows.map(BigInt)],
    vector: ['floats', rows.map((row) => [...rowOf(vectors, DIM, row)])],
    country: ['string', rows.map((row) => (row % 3 === 0 ? 'FR' : 'DE'))],
  })
  writeFileSync(at(name), tableToIPC(table, 'file'))
  return at(name)
}

const items = () => at('items.arrow')
const info = (index: string) => JSON.parse(nigh(['index', 'info', index, '--json']).stdout)

beforeAll(() => void writeItems('items.arrow', 0, ROWS))

test('build, search, append, delete, compact, tune, verify', () => {
  const index = at('one.index')
  const built = nigh(['index', 'build', items(), '--kind', 'cluster', '--out', index])
  expect(built).toMatchObject({ code: 0, stdout: '' })
  expect(built.stderr).toMatch(/^read .*\nbuild .*\nwrite .*\ncluster index of 2,000 items, 8 dimensions, l2: /)
  const asked = ['index', 'search', index, items(), '-k', '3', '--columns', 'country', '--exclude-self']
  const found = nigh([...asked, '--out', at('found.arrow'), '--filter', "country = 'FR'"])
  expect(found).toMatchObject({ code: 0, stdout: '' })
  expect(found.stderr).toMatch(/2,000 queries x 2,000 items: effort \d+, recall 0\.9\d+ \[.*\] on items, .* -> /)
  const rows = readRows(at('found.arrow'))
  expect(Object.keys(rows[0]!)).toEqual(['id', 'neighbors'])
  for (const { id, neighbors } of rows) {
    expect(neighbors).toHaveLength(3)
    for (const { neighbor, country } of neighbors) {
      expect(country).toBe('FR')
      expect(neighbor).not.toBe(id)
    }
  }
  expect(nigh([...asked, '--out', at('found.arrow')])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('error[OUTPUT_EXISTS]'),
  })
  const appended = nigh(['index', 'append', index, writeItems('more.arrow', 1990, 110)])
  expect(appended.stderr).toMatch(/100 items added, 10 replaced: 2,100 in /)
  expect(nigh(['index', 'delete', index, '--ids', '1,2,9999']).stderr).toMatch(/2 items deleted: 2,098 left/)
  expect(nigh(['index', 'delete', index, '--from', at('more.arrow')]).stderr).toMatch(/110 items deleted: 1,988 left/)
  expect(nigh(['index', 'compact', index]).stderr).toMatch(/1,988 items in one segment/)
  expect(nigh(['index', 'tune', index, '--recall', '0.99', '-k', '5']).stderr).toMatch(
    /recall 0.99 at k 5: effort \d+, measured/,
  )
  expect(info(index)).toMatchObject({
    kind: 'cluster',
    numItems: 1988,
    efforts: [{ k: 5, recall: 0.99 }],
    segments: [{ numRows: 1988, numDeleted: 0 }],
  })
  expect(nigh(['index', 'info', index]).stdout).toMatch(
    /^cluster index of 1,988 items, 8 dimensions, l2\n {2}segment 1: /,
  )
  expect(nigh(['index', 'verify', index])).toMatchObject({ code: 0, stderr: expect.stringMatching(/every byte/) })
})

test('from stdin to stdout, and again with --force', () => {
  const index = at('piped.index')
  const input = tableToIPC(
    arrowTable({
      vector: [
        'floats',
        [
          [1, 2],
          [3, 4],
        ],
      ],
    }),
    'stream',
  )
  expect(nigh(['index', 'build', '-', '--kind', 'flat', '-o', index, '-q'], { input })).toMatchObject({
    code: 0,
    stderr: '',
  })
  const { bytes } = nigh(['index', 'search', index, '-', '-o', '-', '-k', '1', '-q'], { input })
  expect(readRows(bytes).map(({ neighbors }) => Number(neighbors[0]!.neighbor))).toEqual([0, 1])
  const again = ['index', 'build', '-', '--kind', 'flat', '-o', index, '-q']
  expect(nigh(again, { input }).stderr).toContain('error[INDEX_EXISTS]')
  expect(nigh([...again, '--force'], { input })).toMatchObject({ code: 0 })
  expect(info(index)).toMatchObject({ numItems: 2 })
})

test('mistakes are told before the work', () => {
  const fails = (args: string[], text: RegExp, code = 2) => {
    const ran = nigh(['index', ...args])
    expect(ran.stderr).toMatch(text)
    expect(ran.code).toBe(code)
  }
  fails(['bild'], /no command nigh index "bild". Did you mean build\?/)
  fails(['build', items()], /--kind: one of/)
  fails(['build', items(), '--kind', 'flat'], /--out DIR is required/)
  fails(['build', items(), '--kind', 'flat', '--num-lists', '3', '-o', at('x')], /numLists: no such param of flat/)
  fails(['build', items(), '--kind', 'cluster', '--codes', 'int5', '-o', at('x')], /codes: must be int8, int4, bit1/)
  fails(['build', items(), '--kind', 'hnsw', '--codes', 'int4', '-o', at('x')], /codes: no such param of hnsw/)
  fails(
    ['build', items(), '--kind', 'cluster', '--metric', 'l1', '-o', at('x')],
    /metric: a cluster index is for l2, .*, not l1: build another kind/,
  )
  fails(['build', at('gone.parquet'), '--kind', 'flat', '-o', at('x')], /error\[FILE_NOT_FOUND\]/, 1)
  fails(['build', items(), '--kind', 'flat', '-o', directory], /error\[NOT_AN_INDEX\].*replaces nothing but indexes/, 1)
  fails(['search', at('none'), items(), '-o', at('y')], /error\[OUTPUT_FORMAT\]|error\[NOT_AN_INDEX\]/, 1)
  fails(['search', at('none'), items()], /--out OUT is required/)
  fails(['search', at('none'), items(), '-o', at('y.arrow'), '--recall', '.9', '--effort', '3'], /give one of them/)
  fails(['delete', at('none')], /which items\?/)
  fails(['append', at('none')], /which items\?/)
  expect(existsSync(at('x'))).toBe(false)
  for (const command of ['build', 'search', 'append', 'delete', 'compact', 'info', 'tune', 'verify']) {
    const { stdout, code } = nigh(['index', command, '--help'])
    expect([code, stdout]).toEqual([0, expect.stringMatching(new RegExp(`^nigh index ${command}: [^]*Examples:`))])
  }
  expect(nigh(['index', '--help']).stdout).toMatch(/compact/)
})

test('a process killed while it appends or compacts leaves the index as it was, or changed', {
  timeout: 180_000,
}, async () => {
  const index = at('killed.index')
  nigh(['index', 'build', items(), '--kind', 'cluster', '-o', index, '-q'])
  let items_ = ROWS
  for (let round = 0; round < 8; round++) {
    const more = writeItems('round.arrow', ROWS + round * 50, 50)
    const args = round % 4 === 3 ? ['index', 'compact', index] : ['index', 'append', index, more]
    const { child, ended } = nighStarted(args)
    await new Promise((wake) => setTimeout(wake, 250 + 60 * round))
    child.kill('SIGKILL')
    await ended
    expect(nigh(['index', 'verify', index, '-q'])).toMatchObject({ code: 0, stderr: '' })
    const { numItems } = info(index)
    expect([items_, items_ + 50]).toContain(numItems)
    items_ = numItems
  }
  // What the killed ones left behind goes with the next change.
  expect(nigh(['index', 'delete', index, '--ids', '0', '-q'])).toMatchObject({ code: 0 })
  const { segments } = info(index)
  const names = readdirSync(index).filter((name) => name !== 'index.json')
  const expected =
    segments.length * 2 + segments.filter(({ numDeleted }: { numDeleted: number }) => numDeleted > 0).length
  expect(names).toHaveLength(expected)
})

test('four processes append at once, and none is lost', { timeout: 180_000 }, async () => {
  const index = at('crowd.index')
  nigh(['index', 'build', items(), '--kind', 'flat', '-o', index, '-q'])
  const started = [0, 1, 2, 3].map((i) =>
    nighStarted(['index', 'append', index, writeItems(`crowd${i}.arrow`, 5000 + i * 10, 10), '-q']),
  )
  for (const { ended } of started) expect(await ended).toMatchObject({ code: 0, stderr: '' })
  expect(info(index).numItems).toBe(ROWS + 40)
  expect(nigh(['index', 'verify', index, '-q']).code).toBe(0)
})
