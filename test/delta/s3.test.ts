// Tables on an S3-compatible store: moto's server, a process of its own on this machine.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nigh, runPython, temporaryDirectory } from '../support/run.ts'
import { freePort, rowsThroughJoin } from './support.ts'

const directory = temporaryDirectory()
const root = fileURLToPath(new URL('../..', import.meta.url))
const port = freePort()
const endpoint = `http://127.0.0.1:${port}`
let server: ChildProcess
let key: { id: string; secret: string }

async function until(ready: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await ready().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('the server did not start')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

beforeAll(async () => {
  const python = process.env.NIGH_PYTHON ?? join(root, '.venv/bin/python')
  if (!existsSync(python)) throw new Error('no Python with moto: node scripts/python-env.mjs')
  server = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', `${port}`], { stdio: 'ignore' })
  await until(async () => (await fetch(`${endpoint}/moto-api/`)).ok)
  // A bucket with tables, and a user with a key.
  key = JSON.parse(runPython('../delta/make_bucket.py', endpoint, directory))
})

afterAll(() => void server?.kill())

const env = (more: Record<string, string> = {}) => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: key.id,
  AWS_SECRET_ACCESS_KEY: key.secret,
  ...more,
})
const run = (args: string[], more: Record<string, string> = {}) => nigh(args, { env: env(more) })
const ids = (rows: { id: unknown }[]) => rows.map(({ id }) => Number(id))
const readPython = (path: string) => {
  const saved = { ...process.env }
  Object.assign(process.env, env({ AWS_REGION: 'us-east-1' }))
  try {
    return JSON.parse(runPython('../delta/read_deltalake.py', path))
  } finally {
    process.env = saved
  }
}

describe('with a key', () => {
  test('Parquet and Arrow IPC objects, one or all under a prefix', () => {
    expect(ids(rowsThroughJoin(directory, 's3://tables/plain/a.parquet', ['title'], env()))).toEqual([0, 1, 2])
    expect(ids(rowsThroughJoin(directory, 's3://tables/plain', [], env()))).toEqual([0, 1, 2, 3, 4, 5])
    expect(ids(rowsThroughJoin(directory, 's3a://tables/plain/b.arrow', [], env()))).toEqual([3, 4, 5])
  })

  test('an object of many blocks', () => {
    const rows = rowsThroughJoin(directory, 's3://tables/large.parquet', [], env())
    expect(ids(rows)).toEqual([...Array(30_000).keys()])
  })

  test('Parquet out; it is not replaced unless asked', () => {
    const join_ = (...args: string[]) =>
      run(['join', 's3://tables/plain', '--self', '-k', '1', '-q', '--out', 's3://tables/out/n.parquet', ...args])
    expect(join_().stderr).toBe('')
    expect(join_().stderr).toContain('error[OUTPUT_EXISTS]')
    expect(join_('--force').stderr).toBe('')
    const inspected = run(['inspect', 's3://tables/out/n.parquet', '--format', 'json'])
    expect(JSON.parse(inspected.stdout).rows).toBe(6)
  })

  test('a Delta table of deltalake', () => {
    const rows = rowsThroughJoin(directory, 's3://tables/delta/parts', ['country'], env())
    expect(rows.map((row) => row.country)).toEqual(['a b', null, 'x/y%'])
    expect(ids(rowsThroughJoin(directory, 'delta:s3://tables/delta/parts@v0', [], env()))).toEqual([0, 1, 2])
  })

  test('a Delta table of nigh: created, appended to, overwritten', () => {
    const out = 's3://tables/delta/neighbors'
    const join_ = (...args: string[]) =>
      run(['join', 's3://tables/plain', '--self', '-k', '1', '-q', '--out', `delta:${out}`, ...args]).stderr
    expect(join_()).toBe('')
    expect(join_()).toContain('error[OUTPUT_EXISTS]')
    expect(join_('--mode', 'append')).toBe('')
    expect(readPython(out)).toMatchObject({ version: 1, rows: expect.objectContaining({ length: 12 }) })
    expect(join_('--mode', 'overwrite')).toBe('')
    expect(readPython(out)).toMatchObject({ version: 2, rows: expect.objectContaining({ length: 6 }) })
    expect(run(['eval', out, '--items', 's3://tables/plain', '--self']).stderr).toBe('')
  })

  test('what is not there', () => {
    expect(run(['inspect', 's3://tables/none.parquet']).stderr).toContain('error[FILE_NOT_FOUND]')
    expect(run(['inspect', 's3://nowhere/none.parquet']).stderr).toContain('error[FILE_NOT_FOUND]')
    expect(run(['inspect', 'delta:s3://tables/plain']).stderr).toContain('error[NOT_A_DELTA_TABLE]')
  })
})

describe('where signatures are checked', () => {
  // Not before: the server gets signatures of requests that list a prefix wrong.
  beforeAll(async () => {
    const headers = { 'Content-Type': 'text/plain' }
    await fetch(`${endpoint}/moto-api/reset-auth`, { method: 'POST', body: '0', headers })
  })

  test('the key opens an object', () => {
    expect(run(['inspect', 's3://tables/plain/a.parquet']).stderr).toBe('')
  })

  test('a wrong secret, an unknown key, no key', () => {
    const wrongs: Record<string, string>[] = [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, { AWS_ACCESS_KEY_ID: 'AKIAUNKNOWN' }]
    for (const wrong of wrongs) {
      for (const path of ['s3://tables/plain/a.parquet', 'delta:s3://tables/delta/parts']) {
        const { stderr } = run(['inspect', path], wrong)
        expect(stderr).toContain('error[STORAGE_DENIED]')
        expect(stderr).toContain('AWS_SECRET_ACCESS_KEY')
      }
      const out = run(['join', 's3://tables/plain', '--self', '--out', 'delta:s3://tables/x'], wrong)
      expect(out.stderr).toContain('error[STORAGE_DENIED]')
    }
    const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' }
    expect(run(['inspect', 's3://tables/plain/a.parquet'], none).stderr).toContain('error[STORAGE_DENIED]')
  })

  test('a wrong endpoint fails within seconds, named', async () => {
    const started = performance.now()
    const dead = `http://127.0.0.1:${freePort()}`
    const { stderr } = run(['inspect', 's3://tables/plain/a.parquet'], { AWS_ENDPOINT_URL: dead })
    expect(stderr).toContain('error[STORAGE_UNREACHABLE]')
    expect(stderr).toContain(dead)
    expect(performance.now() - started).toBeLessThan(15_000)
  })
})
