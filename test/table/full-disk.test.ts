// No room on the disk, for what a shuffle spills and for what is written: one error that says so, and nothing left behind.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { readTable } from '../../src/index.ts'
import { temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const input = at('input.arrows')

beforeAll(() => {
  mkdirSync(at('tmp'))
  mkdirSync(at('results'))
  writeClustered(input, { rows: 40_000, dim: 128 })
})

/** Runs steps on the input in a process whose files may have 5 MB each; the input has 20. */
function withLittleRoom(steps: string): { code: string; message: string } {
  const script = `
    import { readTable } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}
    const [input, tmp, results] = process.argv.slice(1)
    try {
      const dataset = await readTable(input, { memory: '4MB', tmp })
      await (${steps})
      console.log(JSON.stringify({ code: 'NONE' }))
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }))
    }`
  const args = ['--input-type=module', '-e', script, input, at('tmp'), at('results')]
  const ran = spawnSync('bash', ['-c', 'ulimit -f 5000; exec "$@"', '-', process.execPath, ...args])
  expect([ran.stderr.toString(), ran.signal, ran.status]).toEqual(['', null, 0])
  return JSON.parse(ran.stdout.toString())
}

test.each([
  ['repartition', `dataset.repartition(3).count()`],
  ['partitionBy', `dataset.partitionBy('id', { numPartitions: 3 }).count()`],
  ['groupBy', `dataset.groupBy('id', { numPartitions: 3 }).map((id, [table]) => table).count()`],
  ['on the way to a file', `dataset.repartition(3).write(results + '/out.parquet')`],
])('%s', (_, steps) => {
  const { code, message } = withLittleRoom(steps)
  expect(code).toBe('TMP_DISK_FULL')
  expect(message).toMatch(/tmp: a temporary file of \d+\.\d MB does not fit .*free: .*name another directory/)
  expect([readdirSync(at('tmp')), readdirSync(at('results'))]).toEqual([[], []])
})

test('with room the same goes through', async () => {
  const dataset = await readTable(input, { memory: '4MB', tmp: at('tmp') })
  expect(await dataset.repartition(3).count()).toBe(40_000)
  expect(readdirSync(at('tmp'))).toEqual([])
})

test.each(['out.parquet', 'out.arrow', 'out', 'delta:out'])('writing to %s', (name) => {
  const to = name.startsWith('delta:') ? `'delta:' + results + '/out'` : `results + '/${name}'`
  const { code, message } = withLittleRoom(`dataset.write(${to})`)
  expect([code, message]).toEqual([
    'OUTPUT_UNWRITABLE',
    expect.stringMatching(/out.*cannot be written: File too large/),
  ])
  expect(readdirSync(at('results'))).toEqual([])
})
