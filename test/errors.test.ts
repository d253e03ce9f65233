import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERROR_CODES, NighError } from '../src/errors.ts'
import { fromNative } from '../src/native.ts'

test('docs/errors.md has every code and no other', () => {
  const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code)
  expect(documented.sort()).toEqual([...ERROR_CODES].sort())
})

test("the addon's codes are ours", () => {
  const source = readFileSync(new URL('../crates/nigh-table/src/error.rs', import.meta.url), 'utf8')
  const codes = [...source.matchAll(/pub const [A-Z_]+: &str = "([A-Z_]+)"/g)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(10)
  for (const code of codes) expect(ERROR_CODES).toContain(code)
})

test('a native error keeps its code, and its text behind it', () => {
  const error = fromNative(new Error('NOT_A_TABLE: x.parquet: is text: give a table\nplease')) as NighError
  expect(error).toBeInstanceOf(NighError)
  expect(error.code).toBe('NOT_A_TABLE')
  expect(error.message).toBe('x.parquet: is text: give a table\nplease')
})

test('a native error without a code of ours is INTERNAL', () => {
  expect((fromNative(new Error('Given napi value is not a string')) as NighError).code).toBe('INTERNAL')
  expect((fromNative(new Error('HTTP: no')) as NighError).message).toBe('HTTP: no')
})
