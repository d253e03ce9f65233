import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { bin, nigh, nighStarted, readFlat, readReport, temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const path = (name: string) => join(directory, name)
const tmp = path('tmp')
const items = path('items.arrows')
const queries = path('queries.arrows')
const narrow = path('narrow.arrows')

beforeAll(() => {
  mkdirSync(tmp)
  writeClustered(items, { rows: 200_000, dim: 128 })
  writeClustered(queries, { rows: 2_000, dim: 128, seed: 2 })
  writeClustered(narrow, { rows: 500_000, dim: 8 })
})

/** A join that went well, with its report. */
function joined(name: string, args: readonly string[]) {
  const [out, report] = [path(`${name}.arrow`), path(`${name}.json`)]
  const ran = nigh(['join', ...args, '--tmp', tmp, '--out', out, '--report', report, '--quiet', '--force'])
  expect(ran.stderr).toBe('')
  expect(readdirSync(tmp)).toEqual([])
  return { bytes: readFileSync(out), report: readReport(report) }
}

const MEGABYTE = 1e6
/** Beyond the budget, for the process itself. */
const ALLOWED = 150 * MEGABYTE

function expectWithin({ report }: ReturnType<typeof joined>, budget: number): void {
  expect(report.plan.memory!.peak).toBeLessThanOrEqual(budget)
  expect(report.peakMemoryBytes).toBeLessThanOrEqual(budget + ALLOWED)
}

test('an exact join has the same bytes in memory, spilled and in blocks', () => {
  const exact = [queries, items, '--exact']
  const whole = joined('exact', exact)
  expect(whole.report.plan.memory!.way).toBe('memory')
  const spilled = joined('exact-spilled', [...exact, '--memory', '60MB'])
  expect(spilled.report.plan.memory!.way).toBe('spill')
  expectWithin(spilled, 60 * MEGABYTE)
  expect(spilled.bytes.equals(whole.bytes)).toBe(true)
})

test('a self join has the same bytes in memory and spilled; in blocks its recall is what was asked', () => {
  const self = [items, '--self', '--recall', '0.9']
  const whole = joined('self', self)
  expect(whole.report.plan).toMatchObject({ method: 'cluster', memory: { way: 'memory' } })
  const spilled = joined('self-spilled', [...self, '--memory', '125MB'])
  expect(spilled.report.plan).toMatchObject({ method: 'cluster', memory: { way: 'spill' } })
  expectWithin(spilled, 125 * MEGABYTE)
  expect(spilled.bytes.equals(whole.bytes)).toBe(true)

  const blocks = joined('self-blocks', [...self, '--memory', '60MB'])
  expect(blocks.report.plan).toMatchObject({ method: 'cluster', memory: { way: 'blocks' } })
  expectWithin(blocks, 60 * MEGABYTE)
  const { recall } = blocks.report
  expect(recall.sampleSize).toBe(1000)
  expect(recall.estimate).toBeGreaterThanOrEqual(0.9)
  const judged = nigh(['eval', path('self-blocks.arrow'), '--items', items, '--self', '--format', 'json'])
  expect(JSON.parse(judged.stdout).recall.estimate).toBeGreaterThanOrEqual(0.88)
  // Nobody is its own neighbor, and everybody has ten.
  const { offsets, neighbors } = readFlat(blocks.bytes)
  expect(offsets.length).toBe(200_001)
  for (let row = 0; row < 200_000; row++) {
    expect(offsets[row + 1]! - offsets[row]!).toBe(10)
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) if (neighbors[at] === row) throw new Error(`row ${row}`)
  }
})

test('an exact join in blocks', () => {
  const few = path('few.arrows')
  writeClustered(few, { rows: 300, dim: 8, seed: 3 })
  const exact = [few, narrow, '--exact', '--max-distance', '0.4']
  const whole = joined('narrow', exact)
  const blocks = joined('narrow-blocks', [...exact, '--memory', '20MB'])
  expect(blocks.report.plan.memory!.way).toBe('blocks')
  expectWithin(blocks, 20 * MEGABYTE)
  expect(blocks.bytes.equals(whole.bytes)).toBe(true)
})

test('a budget too small is refused with the least that would do, and that does', () => {
  const asked = [items, '--self', '--recall', '0.8']
  const refused = nigh(['join', ...asked, '--memory', '5MB', '--tmp', tmp, '--out', path('refused.arrow')])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/^error\[MEMORY_TOO_SMALL\]: 5 MB .* needs \d+ MB \(--memory\)$/m)
  expect(existsSync(path('refused.arrow'))).toBe(false)
  const least = Number(/needs (\d+) MB/.exec(refused.stderr)![1])
  expect(least * MEGABYTE).toBeLessThan((200_000 * 128 * 4) / 2)
  expectWithin(joined('least', [...asked, '--memory', `${least}MB`]), least * MEGABYTE)
})

test('--explain says where the vectors go, from the metadata alone', () => {
  const plan = nigh(['join', items, '--self', '--memory', '60MB', '--tmp', tmp, '--explain'])
  expect(plan.stdout).toMatch(/Memory: {4}items in \d+ blocks of [\d,]+, \d+ MB in .*tmp, of a budget of 60 MB/)
})

test('a directory for temporary files that is not there', () => {
  const ran = nigh(['join', items, '--self', '--memory', '60MB', '--tmp', path('none'), '--out', path('out.arrow')])
  expect(ran.code).toBe(1)
  expect(ran.stderr).toMatch(/^error\[TMP_UNWRITABLE\]: .*none: /m)
})

test('a disk without room for temporary files is one error and leaves nothing', () => {
  const args = ['join', items, '--self', '--memory', '60MB', '--tmp', tmp, '--out', path('full.arrow')]
  // Files may have 20 MB; the vectors have 102.
  const limited = spawnSync('bash', ['-c', 'ulimit -f 20000; exec "$@"', '-', process.execPath, bin, ...args])
  expect(limited.status).toBe(1)
  const errors = limited.stderr
    .toString()
    .split('\n')
    .filter((line) => line.startsWith('error'))
  expect(errors).toEqual([expect.stringMatching(/^error\[TMP_DISK_FULL\]: .*tmp: .* 102\.4 MB .*free: /)])
  expect(readdirSync(tmp)).toEqual([])
  expect(readdirSync(directory).filter((name) => name.includes('full'))).toEqual([])
})

test.each(['SIGKILL', 'SIGINT'] as const)('%s in the middle leaves no temporary file', async (signal) => {
  const out = path('killed.arrow')
  const args = ['join', items, '--self', '--exact', '-k', '50', '--memory', '120MB', '--tmp', tmp, '--out', out]
  const { child, ended } = nighStarted(args)
  const spilled = () => {
    try {
      const open = readdirSync(`/proc/${child.pid}/fd`).length > 0 && readFileSync(`/proc/${child.pid}/maps`, 'utf8')
      return open !== false && open.includes(tmp)
    } catch {
      return false
    }
  }
  for (let i = 0; i < 400 && !spilled(); i++) await sleep(25)
  expect(process.platform !== 'linux' || spilled()).toBe(true)
  await sleep(300)
  child.kill(signal)
  await ended
  expect(readdirSync(tmp)).toEqual([])
})
