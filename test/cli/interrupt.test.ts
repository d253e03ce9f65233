import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { nigh, nighStarted, runPython, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
beforeAll(() => void runPython('make_tables.py', directory))
const large = join(directory, 'large.parquet')

const outputs = () => readdirSync(directory).filter((name) => name.includes('out'))
/** Some 20 seconds of work, if nobody stops it. */
const longJoin = (out: string) => [
  'join',
  large,
  '--self',
  '--exact',
  '-k',
  '200',
  '--threads',
  '1',
  '--out',
  join(directory, out),
]

/** Waits until the temporary file is there: the join is at work. */
async function atWork(): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (outputs().some((name) => name.endsWith('.tmp'))) return
    await sleep(25)
  }
  throw new Error('the join made no temporary file in 10 s')
}

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s stops it within a second and leaves no file', async (signal, code) => {
  const { child, ended } = nighStarted(longJoin('out.parquet'))
  await atWork()
  await sleep(200)
  const sent = performance.now()
  child.kill(signal)
  expect((await ended).code).toBe(code)
  expect(performance.now() - sent).toBeLessThan(1000)
  expect(outputs()).toEqual([])
})

test('a second SIGINT does not wait', async () => {
  const { child, ended } = nighStarted(longJoin('out.parquet'))
  await atWork()
  child.kill('SIGINT')
  child.kill('SIGINT')
  expect((await ended).code).toBe(130)
  for (const name of outputs()) expect(name).toMatch(/\.tmp$/)
})

test('killed in the middle: no partial output, and the next run cleans up', async () => {
  const { child, ended } = nighStarted(longJoin('out.parquet'))
  await atWork()
  await sleep(100)
  child.kill('SIGKILL')
  expect((await ended).signal).toBe('SIGKILL')
  expect(outputs().filter((name) => !name.endsWith('.tmp'))).toEqual([])
  expect(outputs().length).toBeGreaterThan(0)
  const items = join(directory, 'items.parquet')
  expect(nigh(['join', items, '--self', '--out', join(directory, 'out.parquet')]).code).toBe(0)
  expect(outputs()).toEqual(['out.parquet'])
})
