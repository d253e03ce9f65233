// The code of docs/datasets.md runs as it stands there, each block by itself.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Field, FixedSizeList, Float32, Float64, Int64, Schema, Utf8 } from 'apache-arrow'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fromRows } from '../../src/index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const blocks = [...readFileSync(join(root, 'docs/datasets.md'), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(
  ([, code]) => code!,
)

// Within the package, so that `nigh` is itself.
mkdirSync(join(root, '.build'), { recursive: true })
const directory = mkdtempSync(join(root, '.build', 'docs-'))
afterAll(() => rmSync(directory, { recursive: true }))

beforeAll(async () => {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is not built: npm run build')
  const schema = new Schema([
    new Field('id', new Int64(), false),
    new Field('country', new Utf8(), false),
    new Field('price', new Float64(), false),
    new Field('vector', new FixedSizeList(2, new Field('item', new Float32(), false)), false),
  ])
  const rows = Array.from({ length: 2500 }, (_, i) => ({
    id: i,
    country: ['FR', 'PT'][i % 2],
    price: i % 20,
    vector: [i, -i],
  }))
  await fromRows(rows, schema).write(join(directory, 'products.parquet'))
})

test('there are blocks', () => expect(blocks.length).toBeGreaterThan(3))

test.each(blocks.map((code, i) => [i, code] as const))('block %i', (i, code) => {
  const file = join(directory, `block-${i}.mjs`)
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  writeFileSync(file, ts.transpileModule(code, { compilerOptions: options }).outputText)
  const ran = spawnSync(process.execPath, [file], { cwd: directory, encoding: 'utf8' })
  expect(ran.stderr).toBe('')
  expect(ran.status).toBe(0)
  expect(ran.stdout.length > 0 || !code.includes('console.log')).toBe(true)
})
