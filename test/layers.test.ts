import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../src', import.meta.url))

/** Imports point down only: a file may import its own layer and those below. */
const layers = [
  ['cli', 'serve', 'explorer', 'index.ts'],
  ['model'],
  ['engine'],
  ['join'],
  ['merge'],
  ['search'],
  ['indexes', 'partition'],
  ['table'],
  ['native.ts'],
  ['errors.ts'],
]
const depth = (file: string) => layers.findIndex((layer) => layer.includes(relative(src, file).split(sep)[0]!))

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(src, name))

test.each(files.map((file) => [relative(src, file), file]))('%s imports from its layer and below', (_, file) => {
  expect(depth(file)).toBeGreaterThanOrEqual(0)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
    const target = resolve(dirname(file), path!)
    expect(depth(target), `${relative(src, file)} imports ${path}`).toBeGreaterThanOrEqual(depth(file))
  }
})

test('only native.ts loads the addon', () => {
  const loading = files.filter((file) => /createRequire\(|process\.dlopen/.test(readFileSync(file, 'utf8')))
  expect(loading.map((file) => relative(src, file))).toEqual(['native.ts'])
})
