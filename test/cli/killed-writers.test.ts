// Writers that are killed, by Ctrl-C and for good: what was there stays as it was, and nothing of theirs is seen.
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { readTable } from '../../src/index.ts'
import { nigh, nighStarted, temporaryDirectory } from '../support/run.ts'
import { writeClustered } from '../support/tables.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const [small, large] = [at('small.arrow'), at('large.arrow')]
const [few, queries, model] = [at('few.arrow'), at('queries.arrows'), at('model')]

function ran(...args: string[]): void {
  const { code, stderr } = nigh([...args, '-q'])
  expect([stderr, code]).toEqual(['', 0])
}

beforeAll(async () => {
  const rows = at('rows.arrows')
  writeClustered(rows, { rows: 150_000, dim: 128 })
  writeClustered(queries, { rows: 20_000, dim: 128, seed: 2 })
  await (await readTable(rows)).withColumn('part', 'id % 4').write(large)
  ran('convert', large, small, '--filter', 'id < 300')
  ran('convert', queries, few, '--filter', 'id < 300')
  writeFileSync(at('exact.json'), JSON.stringify({ kind: 'BruteForce', k: 100, numThreads: 1 }))
  ran('fit', at('exact.json'), rows, '--out', model)
})

/** Names and sizes of the files below a path, its own neighbors with hidden names among them. */
function everything(path: string): string[] {
  const own = (name: string) => name === basename(path) || name.startsWith(`.${basename(path)}`)
  const found = readdirSync(dirname(path))
    .filter(own)
    .flatMap((name) => {
      const place = join(dirname(path), name)
      if (!statSync(place).isDirectory()) return [place]
      return [place, ...readdirSync(place, { recursive: true, encoding: 'utf8' }).map((below) => join(place, below))]
    })
  return found.map((place) => place.slice(directory.length + 1)).sort()
}
const hidden = (names: readonly string[]) => names.filter((name) => name.endsWith('.tmp'))

async function atWork(path: string): Promise<void> {
  for (let i = 0; i < 3000; i++) {
    if (hidden(everything(path)).length > 0) return
    await sleep(5)
  }
  throw new Error('nothing was written in 15 s')
}

const columnOf = async (path: string, column: string) => {
  const rows = await (await readTable(path, { columns: [column] })).toRows()
  return rows.map((row) => Number(row[column])).sort((a, b) => a - b)
}
const before = Array.from({ length: 300 }, (_, i) => i)

/** A writer that is killed in its middle: what it wrote to is as it was. */
async function killed(
  signal: 'SIGINT' | 'SIGKILL',
  args: readonly string[],
  path: string,
  working = atWork,
): Promise<void> {
  const found = everything(path)
  const { child, ended } = nighStarted(args)
  await working(path)
  await sleep(50)
  child.kill(signal)
  const { code, stderr } = await ended
  expect([code, stderr]).toEqual([signal === 'SIGINT' ? 130 : null, expect.not.stringContaining('error')])
  const left = everything(path)
  if (signal === 'SIGINT') expect(left).toEqual(found)
  // Below a hidden directory all is hidden.
  const shown = left.filter((name) => !name.includes('.tmp'))
  expect(shown).toEqual(found)
}

const SIGNALS = ['SIGINT', 'SIGKILL'] as const
const PARTS = ['--partition-by', 'part']

describe.each([
  ['a Parquet file', 'out.parquet', 'overwrite', []],
  ['an Arrow file', 'out.arrow', 'overwrite', []],
  ['a directory', 'out', 'overwrite', []],
  ['a directory', 'out', 'append', []],
  ['a directory of partitions', 'parts', 'append', PARTS],
  ['a Delta table', 'delta:table', 'overwrite', []],
  ['a Delta table', 'delta:table', 'append', []],
  ['a partitioned Delta table', 'delta:table-parts', 'append', PARTS],
])('convert to %s (%s), mode %s', (_, out, mode, more) => {
  const path = at(out.replace('delta:', ''))
  const to = out.replace(/[^:]*$/, path)
  const write = (from: string, mode: string) => ['convert', from, to, '--mode', mode, ...more]

  test.each(SIGNALS)('%s', async (signal) => {
    ran(...write(small, 'overwrite'))
    await killed(signal, write(large, mode), path)
    expect(await columnOf(to, 'id')).toEqual(before)
    // The next writer takes away what a killed one could not.
    ran(...write(small, mode))
    expect(everything(path).filter((name) => name.includes('.tmp'))).toEqual([])
    expect(await columnOf(to, 'id')).toEqual(mode === 'append' ? before.flatMap((id) => [id, id]) : before)
  })
})

describe.each([
  ['a Parquet file', 'found.parquet'],
  ['an Arrow file', 'found.arrow'],
  ['a Delta table', 'delta:found'],
])('transform to %s', (_, out) => {
  const path = at(out.replace('delta:', ''))
  const to = out.replace(/[^:]*$/, path)

  test.each(SIGNALS)('%s', async (signal) => {
    const write = (from: string) => ['transform', model, from, '--out', to, '--mode', 'overwrite']
    ran(...write(few))
    // A Delta table gets its first file with the first answers.
    const working = out.startsWith('delta:') ? () => sleep(2500) : atWork
    await killed(signal, write(queries), path, working)
    expect(await columnOf(to, 'id')).toEqual(before)
    ran(...write(few))
    expect(everything(path).filter((name) => name.includes('.tmp'))).toEqual([])
  })
})
