// Several processes on one table, and one that dies.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tableFromArrays } from 'apache-arrow'
import { expect, test } from 'vitest'
import { call } from '../../src/native.ts'
import { temporaryDirectory } from '../support/run.ts'
import { deltaWriter, facts, idsOf, readDeltalake, rowsThroughJoin, writeDelta } from './support.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const script = fileURLToPath(new URL('append.mjs', import.meta.url))

function append(path: string, first: number, commits: number, rows: number) {
  const child = spawn(process.execPath, [script, path, `${first}`, `${commits}`, `${rows}`])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<number[]>((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(stdout.trim().split('\n').map(Number))
      else reject(new Error(stderr))
    })
  })
  return { child, ended }
}

test('four processes that make and append to a table at once lose nothing', async () => {
  const [commits, rows] = [8, 25]
  const writers = [0, 1, 2, 3].map((i) => append(at('shared'), 10_000 * i, commits, rows))
  const versions = (await Promise.all(writers.map(({ ended }) => ended))).flat()
  expect(versions.sort((a, b) => a - b)).toEqual([...Array(4 * commits).keys()])
  const expected = [0, 1, 2, 3].flatMap((i) => Array.from({ length: commits * rows }, (_, row) => 10_000 * i + row))
  expect(idsOf(readDeltalake(at('shared')).rows as { id: number }[])).toEqual(expected)
  expect(idsOf(rowsThroughJoin(directory, at('shared')))).toEqual(expected)
})

async function killed(path: string): Promise<void> {
  const { child, ended } = append(path, 500, 0, 20_000)
  ended.catch(() => {})
  const deadline = Date.now() + 30_000
  const sizes = () => (existsSync(path) ? readdirSync(path) : []).map((name) => statSync(join(path, name)).size)
  const before = sizes().length
  // It is in the middle of a file of its own: some row groups are on the disk.
  while (!(sizes().length > before && sizes().some((size) => size > 100_000))) {
    if (Date.now() > deadline) throw new Error('the writer wrote nothing')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  child.kill('SIGKILL')
  await ended.catch(() => {})
}

test('a writer killed in the middle leaves the table as it was', async () => {
  await append(at('survivor'), 0, 1, 10).ended
  await killed(at('survivor'))
  const files = (ending: string) => readdirSync(at('survivor')).filter((name) => name.endsWith(ending)).length
  expect([files('.parquet'), files('.tmp')]).toEqual([1, expect.toSatisfy((count: number) => count > 0)])
  expect(await facts(at('survivor'))).toMatchObject({ version: 0, numRows: 10, numFiles: 1 })
  expect(readDeltalake(at('survivor')).rows).toHaveLength(10)
  expect(rowsThroughJoin(directory, at('survivor'))).toHaveLength(10)
  await append(at('survivor'), 10, 1, 10).ended
  expect((await facts(at('survivor'))).numRows).toBe(20)
  expect([files('.parquet'), files('.tmp')]).toEqual([2, 0])
})

test('a writer killed before its first commit leaves no table, and the place free', async () => {
  await killed(at('never'))
  await expect(facts(at('never'))).rejects.toMatchObject({ code: 'NOT_A_DELTA_TABLE' })
  await append(at('never'), 0, 1, 10).ended
  expect(await facts(at('never'))).toMatchObject({ version: 0, numRows: 10 })
})

test('an overwrite that another commit overtook is an error, and removes nothing', async () => {
  const rows = (id: number) => tableFromArrays({ id: Int32Array.of(id) })
  const path = at('overtaken')
  await writeDelta(path, [rows(1)])
  const { writer: overwrite, write } = deltaWriter(path, 'overwrite', rows(0))
  await write(rows(2))
  await writeDelta(path, [rows(3)], { mode: 'append' })
  await expect(call((_, job) => overwrite.finish(job), {})).rejects.toMatchObject({
    code: 'DELTA_CONFLICT',
    message: expect.stringMatching(/another process committed version 1/),
  })
  expect(readDeltalake(path).rows).toEqual([{ id: 1 }, { id: 3 }])
  expect(readdirSync(path).filter((name) => name.endsWith('.parquet'))).toHaveLength(2)
})
