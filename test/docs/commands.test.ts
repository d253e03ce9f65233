// The command lines of the pages run as they stand, one after the other, by a shell in a directory with their tables.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { readTable } from '../../src/index.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const directory = temporaryDirectory()
const programs = join(directory, 'bin')

/** The first block of lines that begin with a command of nigh. */
function lines(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8')
  const [block] = /(^ {4}(npx )?nigh .*\n)+/m.exec(text)!
  return block
    .trim()
    .split('\n')
    .map((line) => line.trim())
}

beforeAll(() => {
  mkdirSync(programs)
  const program = (name: string, line: string) => {
    writeFileSync(join(programs, name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  program('nigh', `exec "${process.execPath}" "${join(root, 'dist/cli/main.js')}" "$@"`)
  program('npx', 'exec "$@"')
})

test.each(['README.md', 'docs/indexes.md', 'docs/pyspark.md'])('%s', { timeout: 120_000 }, async (page) => {
  const folder = join(directory, page.replaceAll('/', '-'))
  mkdirSync(folder)
  runPython('docs_tables.py', folder)
  const items = await readTable(join(folder, 'items.parquet'))
  await items.withColumn('price', 'id % 20').write(join(folder, 'priced.parquet'))
  await (await readTable(join(folder, 'priced.parquet'))).write(join(folder, 'items.parquet'), { mode: 'overwrite' })
  const added = (await readTable(join(folder, 'new.parquet'))).withColumn('price', 'id % 20')
  await added.take(3).select(['id']).write(join(folder, 'gone.parquet'))
  await added.write(join(folder, 'newer.parquet'))
  await (await readTable(join(folder, 'newer.parquet'))).write(join(folder, 'new.parquet'), { mode: 'overwrite' })
  const stages = [
    { kind: 'Normalizer', inputCol: 'vector', outputCol: 'unit' },
    { kind: 'BruteForce', featuresCol: 'unit' },
  ]
  writeFileSync(join(folder, 'pipeline.json'), JSON.stringify({ stages }))
  const env = { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` }
  let made = 0
  for (const line of lines(page)) {
    // A page may give one name to several answers: each is looked at by itself.
    rmSync(join(folder, 'neighbors.parquet'), { force: true })
    const ran = spawnSync('sh', ['-c', line], { cwd: folder, env, encoding: 'utf8' })
    expect({ line, stderr: ran.stderr, status: ran.status }).toMatchObject({ status: 0 })
    made++
  }
  expect(made).toBeGreaterThan(1)
})
