import { expect, test } from 'vitest'
import type { Run } from '../../bench/choose.ts'
import type { BenchRecord, EngineRecord } from '../../bench/record.ts'
import { html } from '../../bench/report/html.ts'
import { markdown } from '../../bench/report/markdown.ts'
import { short, size, times } from '../../bench/report/numbers.ts'
import { merge, results } from '../../bench/report/results.ts'

const run = (build: number, search: number, recall: number): Run => ({
  build: { wall: build, cpu: build, peakBytes: 1e9 },
  search: { wall: search, cpu: search, peakBytes: 2e9 },
  recall,
  standardError: 0.004,
})

const engine = (name: string, runs: Run[], notes: string[] = []): EngineRecord => ({
  engine: name,
  attempts: runs.length > 0 ? [{ build: { m: 8 }, search: { ef: 24 }, runs }] : [],
  probes: [{ build: { m: 8 }, search: { ef: 11 }, recall: 0.8, buildSeconds: 1, searchSeconds: 1 }],
  notes,
})

function record(started: string, rows: number, engines: EngineRecord[]): BenchRecord {
  const versions = { hnswlib: '0.8.0' }
  return {
    format: 1,
    started,
    scenario: 'self-sift',
    about: 'a self join',
    metric: 'l2',
    k: 10,
    mode: 'self',
    counts: 'join',
    compare: 'engines',
    targets: [0.95],
    options: { limitSeconds: 60, repeat: 3, clock: 'wall' },
    machine: {
      ...{ cpu: 'A CPU', cores: 2, features: ['avx2'], memoryBytes: 2 ** 34 },
      ...{ platform: 'linux', node: 'v20', versions, commit: 'abc', load: 0.5 },
    },
    cases: [
      {
        ...{ dataset: 'photo-sift', sha256: `${rows}`, rows, dim: 128, numQueries: rows, threads: 1, batch: null },
        truth: { sample: 1000, seed: 1, seconds: 1 },
        engines,
      },
    ],
  }
}

const nigh = engine('nigh', [run(0, 2, 0.96), run(0, 1, 0.96), run(0, 9, 0.96)])
const hnswlib = engine('hnswlib', [run(6, 2, 0.97)])

test('a table has medians, spreads and times over nigh', () => {
  const text = markdown(results([record('2026-01-01T10:00', 10_000, [nigh, hnswlib])]))
  expect(text).toContain('| nigh | m 8, ef 24 | .960 ± .004 | 0 | 2.00 | 2.00 (1.00 to 9.00) | 2.00 | 1.0× |')
  expect(text).toContain('| hnswlib | m 8, ef 24 | .970 ± .004 | 6.00 | 2.00 | 8.00 | 2.00 | 4.0× |')
})

test('where an index keeps codes, a table has their bytes', () => {
  const coded = run(1, 2, 0.96)
  coded.build.codeBytes = 28.5
  const text = markdown(results([record('2026-01-01T10:00', 10_000, [engine('nigh-cluster', [coded]), hnswlib])]))
  expect(text).toContain('| to nigh | code bytes |')
  expect(text).toMatch(/\| nigh-cluster \|.* 1\.0× \| 28\.5 \|/)
  expect(text).toMatch(/\| hnswlib \|.*× \| {2}\|/)
  expect(markdown(results([record('2026-01-01T10:00', 10_000, [nigh])]))).not.toContain('| code bytes |')
})

test('an engine that did not get there has no time', () => {
  const away = { ...engine('scann', [], ['unavailable: no wheel']), probes: [] }
  const short = engine('annoy', [run(1, 1, 0.94)])
  const [result] = results([record('2026-01-01T10:00', 10_000, [nigh, away, short])])
  expect(result!.lines.slice(1)).toEqual([
    { engine: 'scann', setting: '', missing: 'unavailable: no wheel' },
    { engine: 'annoy', setting: '', missing: 'not reached: 0.940 at most' },
  ])
})

test('records of the same table join engine by engine, the newest of each', () => {
  const old = record('2026-01-01T10:00', 10_000, [engine('nigh', [run(0, 50, 0.99)]), hnswlib])
  const fresh = record('2026-01-02T10:00', 10_000, [nigh])
  for (const order of [
    [old, fresh],
    [fresh, old],
  ]) {
    const merged = merge(order)
    expect(merged).toHaveLength(1)
    expect(merged[0]!.given.engines).toEqual([nigh, hnswlib])
  }
})

test('growth is fitted over sizes', () => {
  const at = (rows: number, took: number) => record('2026-01-01T10:00', rows, [engine('nigh', [run(0, took, 0.96)])])
  expect(markdown(results([at(10_000, 1), at(100_000, 10)]))).toContain('nigh 1.00 (2 sizes)')
})

test('the page holds its plots and asks for nothing', () => {
  const { page, plots } = html(results([record('2026-01-01T10:00', 10_000, [nigh, hnswlib])]))
  expect([...plots.keys()]).toEqual(['self-sift-1-threads-recall-10000'])
  expect(page).toContain('<svg')
  expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|<link/)
})

test('numbers as people read them', () => {
  expect([0, 0.01234, 1.5, 12.345, 12_345.6].map(short)).toEqual(['0', '0.0123', '1.50', '12.3', '12,346'])
  expect([10_000, 250_000, 1_000_000, 1234].map(size)).toEqual(['10K', '250K', '1M', '1,234'])
  expect([0.0234, 1.04, 12.4].map(times)).toEqual(['0.023×', '1.0×', '12×'])
})
