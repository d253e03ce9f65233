// Section by section what a join may meet: each through the real command line.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { nigh, readReport, readRows, runPython, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
beforeAll(() => void runPython('make_tables.py', directory))

/** Everything in the directory but the inputs: what a failed join must not leave. */
let inputs: string[] = []
beforeAll(() => {
  inputs = readdirSync(directory)
})
const leftovers = () => readdirSync(directory).filter((name) => !inputs.includes(name))

interface Refusal {
  args: string[]
  code: string
  says: RegExp
  status?: number
}

const tables = (queries: string, items: string, ...rest: string[]) => [at(queries), at(items), ...rest]
const refusals: [string, () => Refusal][] = [
  [
    'a missing file',
    () => ({ args: tables('nope.parquet', 'items.parquet'), code: 'FILE_NOT_FOUND', says: /nope\.parquet/ }),
  ],
  [
    'a glob without matches',
    () => ({ args: tables('no*.pq', 'items.parquet'), code: 'FILE_NOT_FOUND', says: /no\*\.pq/ }),
  ],
  [
    'a missing vector column',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--item-vector', 'embedding'),
      code: 'COLUMN_NOT_FOUND',
      says: /items\.parquet.*"embedding".*id, vector, title/,
    }),
  ],
  [
    'a missing id column',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--query-id', 'key'),
      code: 'COLUMN_NOT_FOUND',
      says: /queries\.parquet.*"key"/,
    }),
  ],
  [
    'a missing carried column',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--columns', 'titel'),
      code: 'COLUMN_NOT_FOUND',
      says: /"titel".*title/,
    }),
  ],
  ['text', () => ({ args: tables('queries.parquet', 'text.parquet'), code: 'NOT_A_TABLE', says: /text\.parquet/ })],
  [
    'a file of no bytes',
    () => ({ args: tables('nothing.parquet', 'items.parquet'), code: 'NOT_A_TABLE', says: /empty/ }),
  ],
  [
    'truncated Parquet',
    () => ({ args: tables('queries.parquet', 'truncated.parquet'), code: 'CORRUPT_FILE', says: /truncated\.parquet/ }),
  ],
  [
    'a vector column of text',
    () => ({ args: tables('queries.parquet', 'wrong-type.parquet'), code: 'COLUMN_TYPE', says: /"vector".*Utf8/ }),
  ],
  [
    'an id column of vectors',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--id', 'vector'),
      code: 'COLUMN_TYPE',
      says: /"vector"/,
    }),
  ],
  [
    'a null vector',
    () => ({ args: tables('queries.parquet', 'null-vector.parquet'), code: 'NULL_VECTOR', says: /"vector", row 40/ }),
  ],
  [
    'a ragged vector',
    () => ({ args: tables('queries.parquet', 'ragged.parquet'), code: 'RAGGED_VECTOR', says: /row 30.* 9 / }),
  ],
  [
    'other dimensions',
    () => ({
      args: tables('other-dim.parquet', 'items.parquet'),
      code: 'DIMENSION_MISMATCH',
      says: /24 dimensions.*16/,
    }),
  ],
  [
    'NaN',
    () => ({
      args: tables('queries.parquet', 'nan.parquet'),
      code: 'INVALID_VECTOR',
      says: /nan\.parquet: column "vector", row 57/,
    }),
  ],
  [
    'a k of 0',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '-k', '0'),
      code: 'INVALID_OPTION',
      says: /k: .*0/,
      status: 2,
    }),
  ],
  [
    'a negative k',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '-k', '-3'),
      code: 'INVALID_OPTION',
      says: /k: .*-3/,
      status: 2,
    }),
  ],
  [
    'half a k',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '-k', '2.5'),
      code: 'INVALID_OPTION',
      says: /k: /,
      status: 2,
    }),
  ],
  [
    'a k of letters',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '-k', 'ten'),
      code: 'USAGE',
      says: /-k.*"ten"/,
      status: 2,
    }),
  ],
  [
    'recall and exact',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--recall', '.9', '--exact'),
      code: 'INVALID_OPTION',
      says: /not both/,
      status: 2,
    }),
  ],
  [
    'a recall of 2',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--recall', '2'),
      code: 'INVALID_OPTION',
      says: /recall: .*2/,
      status: 2,
    }),
  ],
  [
    'an unknown metric',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--metric', 'l3'),
      code: 'INVALID_OPTION',
      says: /l2, squared-l2, cosine, .*jaccard/,
      status: 2,
    }),
  ],
  [
    'an unknown option',
    () => ({
      args: tables('queries.parquet', 'items.parquet', '--metirc', 'l2'),
      code: 'USAGE',
      says: /Did you mean --metric\?/,
      status: 2,
    }),
  ],
  [
    'a third table',
    () => ({
      args: [...tables('queries.parquet', 'items.parquet'), 'x'],
      code: 'USAGE',
      says: /x is a third/,
      status: 2,
    }),
  ],
  ['a single table', () => ({ args: [at('items.parquet')], code: 'USAGE', says: /--self/, status: 2 })],
  [
    'two tables in a self join',
    () => ({ args: tables('queries.parquet', 'items.parquet', '--self'), code: 'USAGE', says: /one table/, status: 2 }),
  ],
]

describe('refused, with nothing left behind', () => {
  test.each(refusals)('%s', (_, refusal) => {
    const { args, code, says, status = 1 } = refusal()
    const ran = nigh(['join', ...args, '--out', at('out.parquet')])
    expect(ran.stderr).toMatch(new RegExp(`^error\\[${code}\\]: `, 'm'))
    expect(ran.stderr).toMatch(says)
    expect(ran.stderr).not.toMatch(/^\s+at /m)
    expect(ran.code).toBe(status)
    expect(ran.stdout).toBe('')
    expect(leftovers()).toEqual([])
  })
})

describe('--on-invalid drop', () => {
  test.each([
    ['nan.parquet', 2, 'INVALID_VECTOR', [57, 120]],
    ['null-vector.parquet', 1, 'NULL_VECTOR', [40]],
    ['ragged.parquet', 1, 'RAGGED_VECTOR', [30]],
  ])('%s: the rows go to the rejects file', (name, dropped, reason, rows) => {
    const out = at(`dropped-${name}.arrow`)
    const rejects = at(`rejects-${name}.arrow`)
    const report = at(`report-${name}.json`)
    const options = ['--on-invalid', 'drop', '--rejects', rejects, '--report', report]
    const ran = nigh(['join', ...tables('queries.parquet', name), '--out', out, ...options])
    expect(ran.stderr).toContain(`${dropped} row${dropped === 1 ? '' : 's'} dropped`)
    expect(ran.code).toBe(0)
    expect(readRows(out).length).toBe(60)
    const lines = JSON.parse(runPython('read_result.py', rejects)).data
    expect(lines.map((line: { row: number }) => line.row)).toEqual(rows)
    for (const line of lines) expect(line).toMatchObject({ file: at(name), reason })
    expect(readReport(report).rejected).toEqual({ queries: 0, items: dropped, path: rejects })
  })

  test('beside the output by default', () => {
    const ran = nigh(['join', at('nan.parquet'), '--self', '--out', at('self.parquet'), '--on-invalid', 'drop'])
    expect(ran.code).toBe(0)
    expect(existsSync(at('self.parquet.rejects.parquet'))).toBe(true)
  })

  test('--rejects without it is refused', () => {
    const ran = nigh([
      'join',
      ...tables('queries.parquet', 'nan.parquet'),
      '--out',
      at('x.parquet'),
      '--rejects',
      at('r.parquet'),
    ])
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('--on-invalid drop')])
  })
})

describe('unusual but right', () => {
  const run = (queries: string, items: string, ...rest: string[]) => {
    const out = at('unusual.arrow')
    const report = at('unusual.json')
    const ran = nigh(['join', ...tables(queries, items), '--out', out, '--force', '--report', report, ...rest])
    expect(ran.stderr).not.toContain('error')
    expect(ran.code).toBe(0)
    return { rows: readRows(out), report: readReport(report) }
  }

  test('duplicate item ids are allowed, and counted', () => {
    const { rows, report } = run('queries.parquet', 'duplicate-ids.parquet')
    expect(report.duplicateItemIds).toBe(100)
    for (const { neighbors } of rows) expect(neighbors.length).toBe(10)
  })

  test('no queries: no rows', () => {
    const { rows, report } = run('empty.parquet', 'items.parquet')
    expect(rows).toEqual([])
    expect(report.rows).toEqual({ queries: 0, items: 1500, neighbors: 0 })
  })

  test('no items: empty lists', () => {
    const { rows } = run('queries.parquet', 'empty.parquet')
    expect(rows.length).toBe(60)
    for (const { neighbors } of rows) expect(neighbors).toEqual([])
  })

  test('an empty self join, as Parquet, is read by pyarrow', () => {
    const ran = nigh(['join', at('empty.parquet'), '--self', '--out', at('empty-out.parquet'), '--force'])
    expect(ran.code).toBe(0)
    expect(JSON.parse(runPython('read_result.py', at('empty-out.parquet')))).toMatchObject({ rows: 0 })
  })

  test('k above n gives all there are', () => {
    const { rows } = run('queries.parquet', 'items.parquet', '-k', '9999')
    for (const { neighbors } of rows) expect(neighbors.length).toBe(1500)
  })

  test('nothing within the radius: empty lists, no fillers', () => {
    const { rows } = run('queries.parquet', 'items.parquet', '--max-distance', '0.01')
    for (const { neighbors } of rows) expect(neighbors).toEqual([])
  })
})

describe('the output', () => {
  const args = () => ['join', ...tables('queries.parquet', 'items.parquet')]

  test('is not replaced without --force', () => {
    const out = at('there.parquet')
    writeFileSync(out, 'precious')
    const ran = nigh([...args(), '--out', out])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('error[OUTPUT_EXISTS]')])
    expect(readFileSync(out, 'utf8')).toBe('precious')
    expect(nigh([...args(), '--out', out, '--force']).code).toBe(0)
    expect(readFileSync(out).subarray(0, 4).toString()).toBe('PAR1')
  })

  test.each([
    ['an unknown extension', 'out.csv', 'OUTPUT_FORMAT'],
    ['a directory that is not there', 'no/such/out.parquet', 'OUTPUT_UNWRITABLE'],
  ])('%s', (_, name, code) => {
    const ran = nigh([...args(), '--out', at(name)])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining(`error[${code}]`)])
  })

  test('a directory without permission', () => {
    // Root may write anywhere but where the system itself refuses.
    const isRoot = process.getuid?.() === 0
    const closed = isRoot ? '/sys' : at('closed')
    if (!isRoot) {
      mkdirSync(closed)
      chmodSync(closed, 0o555)
    }
    const ran = nigh([...args(), '--out', join(closed, 'out.parquet')])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('error[OUTPUT_UNWRITABLE]')])
  })

  test('a place that cannot hold files', ({ skip }) => {
    if (process.platform !== 'linux') skip('/proc is of Linux')
    const ran = nigh([...args(), '--out', '/proc/out.parquet'])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('error[OUTPUT_UNWRITABLE]')])
  })

  test('a full device', ({ skip }) => {
    if (!existsSync('/dev/full')) skip('there is no /dev/full')
    const link = at('full.arrows')
    execFileSync('ln', ['-s', '/dev/full', link])
    const ran = nigh([...args(), '--out', link, '--force'])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('error[DISK_FULL]')])
  })

  test('a full disk: an error, and no file', ({ skip }) => {
    const small = at('small-disk')
    mkdirSync(small)
    try {
      execFileSync('/usr/bin/env', ['mount', '-t', 'tmpfs', '-o', 'size=48k', 'tmpfs', small], { stdio: 'ignore' })
    } catch {
      skip('this user cannot mount a small disk')
    }
    try {
      const ran = nigh(['join', at('items.parquet'), '--self', '-k', '50', '--out', join(small, 'out.parquet')])
      expect(ran.stderr).toContain('error[DISK_FULL]')
      expect(ran.code).toBe(1)
      expect(readdirSync(small)).toEqual([])
    } finally {
      execFileSync('/usr/bin/env', ['umount', small])
    }
  })

  test('a report that cannot be written is an error, too', () => {
    const ran = nigh([...args(), '--out', at('reported.parquet'), '--report', at('no/such/report.json')])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('error[OUTPUT_UNWRITABLE]')])
  })
})
