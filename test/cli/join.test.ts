import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFromIPC, tableToIPC } from 'apache-arrow'
import { beforeAll, describe, expect, test } from 'vitest'
import { nigh, type Ran, readReport, readRows, runPython, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
beforeAll(() => void runPython('make_tables.py', directory))

function joined(args: string[], out = 'out.arrow'): Ran {
  const ran = nigh(['join', ...args, '--out', at(out), '--force'])
  if (ran.code !== 0) throw new Error(ran.stderr)
  return ran
}
const rowsOf = (...args: string[]) => {
  joined(args)
  return readRows(at('out.arrow'))
}
const pyarrow = (name: string) => JSON.parse(runPython('read_result.py', at(name)))

describe('every form of vectors', () => {
  test.each(['fixed-f64', 'list-f32', 'list-f64', 'large-list-f32', 'spark'])('%s as fixed-f32', (form) => {
    expect(rowsOf(at('queries.parquet'), at(`form-${form}.parquet`))).toEqual(
      rowsOf(at('queries.parquet'), at('form-fixed-f32.parquet')),
    )
  })
  test.each(['f16', 'i8', 'u8'])('%s as its numbers in f32', (kind) => {
    expect(rowsOf(at(`form-fixed-${kind}.parquet`), '--self')).toEqual(
      rowsOf(at(`form-plain-${kind}.parquet`), '--self'),
    )
  })
})

describe('every type of id comes back', () => {
  test.each([
    ['int8', 'int8'],
    ['int32', 'int32'],
    ['uint64', 'uint64'],
    ['string', 'string'],
    ['binary', 'binary'],
    ['uuid', 'fixed_size_binary[16]'],
  ])('%s', (kind, type) => {
    joined([at(`id-${kind}.parquet`), '--self', '-k', '3'], 'ids.parquet')
    const { schema, data } = pyarrow('ids.parquet')
    expect(schema.id).toBe(type)
    expect(schema.neighbors).toContain(`neighbor: ${type}`)
    const ids = new Set(data.map(({ id }: { id: unknown }) => id))
    expect(ids.size).toBe(100)
    for (const { neighbors } of data) for (const { neighbor } of neighbors) expect(ids.has(neighbor)).toBe(true)
  })
})

describe('outputs', () => {
  const args = () => [
    at('queries.parquet'),
    at('items.parquet'),
    '-k',
    '4',
    '--columns',
    'title',
    '--query-columns',
    'note',
  ]

  test.each(['a.parquet', 'a.arrow', 'a.feather', 'a.arrows'])('%s is read by pyarrow', (name) => {
    joined(args(), name)
    const { schema, rows, data } = pyarrow(name)
    expect([Object.keys(schema), rows]).toEqual([['id', 'note', 'neighbors'], 60])
    expect(data[7]).toMatchObject({ id: 7, note: 'query 7' })
    for (const { neighbors } of data) {
      for (const { neighbor, title } of neighbors) expect(title).toBe(`item ${(neighbor - 100) / 3}`)
    }
  })

  test('the long layout', () => {
    joined([...args(), '--layout', 'long'], 'long.parquet')
    const { schema, rows, data } = pyarrow('long.parquet')
    expect(Object.keys(schema)).toEqual(['query_id', 'rank', 'neighbor_id', 'distance', 'note', 'title'])
    expect(rows).toBe(240)
    expect(data.slice(0, 4).map(({ rank }: { rank: number }) => rank)).toEqual([1, 2, 3, 4])
  })

  test('columns of both sides in a self join', () => {
    joined(
      [at('items.parquet'), '--self', '-k', '2', '--columns', 'title', '--query-columns', 'title'],
      'titles.parquet',
    )
    for (const { id, title } of pyarrow('titles.parquet').data) expect(title).toBe(`item ${(id - 100) / 3}`)
  })

  test('Arrow IPC on stdin and stdout', () => {
    const expected = rowsOf(at('queries.parquet'), at('items.parquet'), '-k', '4')
    const items = nigh(['join', at('items.parquet'), '--self', '--out', '-'])
    expect(tableFromIPC(items.bytes).numRows).toBe(1500)
    const stream = runPython('to_stream.py', at('items.parquet'), at('items.arrows'))
    expect(stream).toBe('')
    const ran = nigh(['join', at('queries.parquet'), '-', '-k', '4', '--out', '-'], {
      input: readFileSync(at('items.arrows')),
    })
    expect(readRows(ran.bytes)).toEqual(expected)
  })

  test('stdin is named when it is wrong', () => {
    const ran = nigh(['join', '-', at('items.parquet'), '--out', '-'], { input: Buffer.from('hello') })
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringMatching(/error\[NOT_A_TABLE\]: .*stdin/)])
  })
})

test('a directory, a glob and a file of the same rows', () => {
  const expected = rowsOf(at('queries.parquet'), at('items.parquet'))
  expect(rowsOf(at('queries.parquet'), at('parts'))).toEqual(expected)
  expect(rowsOf(at('queries.parquet'), at('parts/part-*.parquet'))).toEqual(expected)
})

test('the same bytes on any number of threads', () => {
  const bytesOf = (threads: string) => {
    const args = ['join', at('large.parquet'), '--self', '--recall', '0.9', '--seed', '3', '--threads', threads]
    const ran = nigh([...args, '--out', at('bytes.parquet'), '--force', '--report', at('bytes.json')])
    expect(ran.stderr).toContain('recall 0.9')
    expect(readReport(at('bytes.json')).plan.method).toBe('cluster')
    return readFileSync(at('bytes.parquet'))
  }
  const first = bytesOf('1')
  expect(Buffer.compare(bytesOf('3'), first)).toBe(0)
})

test.each(['scalar', 'avx2', 'avx512', 'neon'])('NIGH_CPU=%s finds the same', (level) => {
  const expected = rowsOf(at('queries.parquet'), at('items.parquet'))
  const args = [
    'join',
    at('queries.parquet'),
    at('items.parquet'),
    '--out',
    at('level.arrow'),
    '--force',
    '--report',
    at('level.json'),
  ]
  const ran = nigh(args, { env: { NIGH_CPU: level } })
  expect(ran.code).toBe(0)
  // A level that this machine lacks falls back to one that it has.
  expect(['scalar', 'avx2', 'avx512', 'neon']).toContain(readReport(at('level.json')).machine.level)
  expect(readRows(at('level.arrow'))).toEqual(expected)
})

test('the report', () => {
  joined([at('queries.parquet'), at('items.parquet'), '--report', at('report.json'), '--threads', '2'])
  const report = readReport(at('report.json'))
  expect(report).toMatchObject({
    plan: { method: 'exact', k: 10, metric: 'l2', threads: 2 },
    rows: { queries: 60, items: 1500, neighbors: 600 },
    recall: { target: 0.95, estimate: 1, low: 1, high: 1, sampleSize: 0 },
    machine: { threads: 2, node: process.version },
    duplicateItemIds: 0,
    rejected: { queries: 0, items: 0 },
    output: { path: at('out.arrow') },
  })
  for (const stage of ['read', 'cluster', 'tune', 'join', 'write', 'total'] as const) {
    expect(report.seconds[stage]).toBeGreaterThanOrEqual(0)
  }
  expect(report.peakMemoryBytes).toBeGreaterThan(1e7)
  expect(report.output.sizeBytes).toBe(readFileSync(at('out.arrow')).length)
})

test('--explain prints the plan and runs nothing', () => {
  const ran = nigh(['join', at('queries.parquet'), at('items.parquet'), '--out', at('never.parquet'), '--explain'])
  expect(ran.code).toBe(0)
  expect(ran.stdout).toMatch(/60 queries with their 10 nearest of 1,500 items/)
  expect(ran.stdout).toMatch(/Estimated: .* of memory/)
  expect(() => readFileSync(at('never.parquet'))).toThrow('ENOENT')
})

test('stderr: a line a stage and a summary, or nothing', () => {
  const args = [at('queries.parquet'), at('items.parquet')]
  const { stderr } = joined(args)
  expect(stderr).toMatch(
    /^read [\d.]+ m?s\njoin [\d.]+ m?s\nwrite [\d.]+ m?s\n60 queries x 1,500 items: exact \(recall 1\), .*out\.arrow\n$/,
  )
  expect(joined([...args, '--quiet']).stderr).toBe('')
})

test('a radius together with k, and self included', () => {
  const near = rowsOf(at('items.parquet'), '--self', '--max-distance', '2.5')
  expect(near.some(({ neighbors }) => neighbors.length < 10)).toBe(true)
  for (const { neighbors } of near) for (const { distance } of neighbors) expect(distance).toBeLessThanOrEqual(2.5)
  const included = rowsOf(at('items.parquet'), '--self', '--include-self', '-k', '1')
  for (const { id, neighbors } of included) expect(neighbors).toEqual([{ neighbor: id, distance: 0 }])
})

test('an Arrow file as input', () => {
  const expected = rowsOf(at('queries.parquet'), at('items.parquet'))
  runPython('to_stream.py', at('items.parquet'), at('items-again.arrows'))
  const file = tableToIPC(tableFromIPC(readFileSync(at('items-again.arrows'))), 'file')
  expect(file.length).toBeGreaterThan(1000)
  expect(rowsOf(at('queries.parquet'), at('items-again.arrows'))).toEqual(expected)
})
