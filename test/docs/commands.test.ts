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

/** Runs a line as a shell does; gives what it wrote to stderr and its exit code. */
function shell(line: string, cwd: string): { line: string; stderr: string; status: number | null } {
  const env = { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH}` }
  const { stderr, status } = spawnSync('sh', ['-c', line], { cwd, env, encoding: 'utf8' })
  return { line, stderr, status }
}

function folderOf(page: string): string {
  const folder = join(directory, page.replaceAll('/', '-'))
  mkdirSync(folder)
  runPython('docs_tables.py', folder)
  return folder
}

test.each(['README.md', 'docs/indexes.md', 'docs/pyspark.md'])('%s', { timeout: 120_000 }, async (page) => {
  const folder = folderOf(page)
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
  let made = 0
  for (const line of lines(page)) {
    // A page may give one name to several answers: each is looked at by itself.
    rmSync(join(folder, 'neighbors.parquet'), { force: true })
    expect(shell(line, folder)).toMatchObject({ status: 0 })
    made++
  }
  expect(made).toBeGreaterThan(1)
})

test('docs/guide.md', { timeout: 120_000 }, async () => {
  const folder = folderOf('docs/guide.md')
  const [queries, items] = [join(folder, 'queries.parquet'), join(folder, 'items.parquet')]
  await (await readTable(items)).write(`delta:${join(folder, 'items')}`)
  for (let version = 0; version < 4; version++) {
    await (await readTable(queries)).take(10).write(`delta:${join(folder, 'queries')}`, { mode: 'append' })
  }
  const [line, ...others] = lines('docs/guide.md')
  expect(others).toEqual([])
  for (const rows of [40, 80]) {
    expect(shell(line!, folder)).toMatchObject({ status: 0 })
    expect(await (await readTable(join(folder, 'neighbors'))).count()).toBe(rows)
  }
})

/** What stands in the place of a word in capitals; `chosen` are the words chosen among alternatives. */
function value(word: string, line: string, chosen: readonly string[], at: number): string {
  const format = chosen.find((one) => one === 'annoy' || one === 'hnswlib')
  const kind = chosen.find((one) => ['flat', 'cluster', 'hnsw', 'forest', 'lsh'].includes(one))
  const known: Record<string, string> = {
    QUERIES: 'queries.parquet',
    ITEMS: line.startsWith('nigh index append') ? 'new.parquet' : 'items.parquet',
    RESULT: line.includes('--self') ? 'self.parquet' : 'result.parquet',
    Q: 'queries.parquet',
    I: 'items.parquet',
    IN: 'items.parquet',
    FILE: format ? `file.${format}` : 'items.parquet',
    'PIPELINE.json': 'pipeline.json',
    MODEL: 'model',
    DIR: line.startsWith('nigh index import')
      ? `taken-${format}`
      : `index-${kind ?? (format === 'annoy' ? 'forest' : 'hnsw')}`,
    'A,B': '1,2',
    TABLE: 'new.parquet',
    R: '0.9',
    M: 'l2',
    D: '8',
    OUT: line.startsWith('nigh join')
      ? line.includes('--self')
        ? 'self.parquet'
        : 'result.parquet'
      : `out-${at}.parquet`,
  }
  return known[word] ?? word
}

/** A line of usage as commands: every choice between alternatives, without what may be left out. */
function commands(line: string, at: number): string[] {
  const needed = line.replaceAll(/ \[[^\]]*\]/g, '')
  // `--ids A,B | --from TABLE`: one or the other.
  const [first, ...rest] = needed.split(' | ')
  const lines = [first!, ...rest.map((other) => first!.replace(/--\S+ \S+$/, other))]
  const choices = lines.flatMap((one) =>
    one
      .split(' ')
      .reduce<string[][]>((made, word) => word.split('|').flatMap((choice) => made.map((so) => [...so, choice])), [[]]),
  )
  return choices.map((words) => words.map((word) => value(word, line, words, at)).join(' '))
}

test('docs/parameters.md: each usage, with every flag that its command knows', { timeout: 240_000 }, () => {
  const folder = folderOf('docs/parameters.md')
  writeFileSync(join(folder, 'pipeline.json'), JSON.stringify({ kind: 'BruteForce' }))
  const usages = readFileSync(join(root, 'docs/parameters.md'), 'utf8').match(/^ {4}nigh .*$/gm)!
  expect(usages.length).toBeGreaterThan(15)
  for (const [at, usage] of usages.entries()) {
    const line = usage.trim()
    const [, name, nested] = line.split(' ')
    const asked = name === 'index' ? nested!.split('|').map((one) => [name, one]) : [[name!]]
    const helps = asked.map(
      (words) => spawnSync(join(programs, 'nigh'), [...words, '--help'], { encoding: 'utf8' }).stdout,
    )
    for (const [flag] of line.matchAll(/--[a-z-]+/g)) {
      for (const help of helps) expect([line, help]).toEqual([line, expect.stringContaining(flag)])
    }
    for (const command of commands(line, at)) expect(shell(command, folder)).toMatchObject({ status: 0 })
  }
})
