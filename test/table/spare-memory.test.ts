import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Field, Float32, Int32, List, makeData, Schema, Table, Vector } from 'apache-arrow'
import { expect, test } from 'vitest'
import { fromTables } from '../../src/index.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const [rows, dim] = [30_000, 64]

function constant(value: number): Table {
  const type = new List(new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: new Float32Array(rows * dim).fill(value) })
  const valueOffsets = Int32Array.from({ length: rows + 1 }, (_, i) => i * dim)
  const vector = new Vector([makeData({ type, length: rows, nullCount: 0, valueOffsets, child })])
  const id = new Vector([makeData({ type: new Int32(), data: new Int32Array(rows).fill(value) })])
  const schema = new Schema([new Field('id', new Int32(), false), new Field('vector', type, false)])
  return new Table(schema, { id, vector })
}

/** Reads files again and again; holds some tables, lets go of the others, and prints what those it holds are full of. */
const reader = `
  import { readTable, vectors } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}
  const held = []
  let read = 0
  for (let round = 0; round < 4; round++) {
    for (const path of process.argv.slice(1)) {
      for await (const table of await readTable(path)) {
        if (read++ % 4 === 0) held.push([path, table])
        else vectors(table, 'vector').values.fill(-1)
      }
      gc()
      await new Promise((settle) => setImmediate(settle))
    }
  }
  const found = held.map(([path, table]) => [path.at(-9), [...new Set(vectors(table, 'vector').values)].join()])
  console.log(JSON.stringify(found))
`

test('memory that is used again was let go of: tables that are held keep their values', async () => {
  const paths = []
  for (let value = 0; value < 6; value++) {
    paths.push(join(directory, `${value}.parquet`))
    await fromTables([constant(value)]).write(paths.at(-1)!)
  }
  const args = ['--expose-gc', '--input-type=module', '-e', reader, ...paths]
  const found: [string, string][] = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  expect(found.length).toBe(6)
  for (const [value, values] of found) expect(values).toBe(value)
})
