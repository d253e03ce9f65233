import { Field, FixedSizeList, Float32, Float64, Int8, Int32, List, Struct, type Table } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { Normalizer, VectorConverter, type VectorForm } from '../../src/index.ts'
import { arrowTable, types } from '../support/arrow.ts'

/** Spark ML's vector: dense (type 1) or sparse (type 0). */
const spark = () =>
  new Struct([
    new Field('type', new Int8(), false),
    new Field('size', new Int32(), true),
    new Field('indices', new List(new Field('element', new Int32(), false)), true),
    new Field('values', new List(new Field('element', new Float64(), false)), true),
  ])
const dense = (values: number[]) => ({ type: 1, size: null, indices: null, values })
const sparse = (size: number, indices: number[], values: number[]) => ({ type: 0, size, indices, values })

/** The numbers of a column of any form; sparse vectors by what they store. */
const numbers = (table: Table, column: string) =>
  Array.from(table.getChild(column)!, (row) =>
    row === null ? null : [...('values' in row && !('length' in row) ? row.values : row)],
  )

const rows = [[0.01, 0.02, 0.03], [0, 0, 0], null, [-3, 4, 0]]
const fixed = new FixedSizeList(3, new Field('element', new Float32(), true))
const forms: Record<string, () => Table> = {
  'array<float>': () => arrowTable({ v: ['floats', rows] }),
  'array<double>': () => arrowTable({ v: ['doubles', rows] }),
  vector: () => arrowTable({ v: [spark(), rows.map((row) => row && dense(row))] }),
  'fixed array<float>': () => arrowTable({ v: [fixed, rows] }),
}

describe('Normalizer', () => {
  const unit = [[0.26726124, 0.53452248, 0.80178373], [0, 0, 0], null, [-0.6, 0.8, 0]]
  test.each(Object.keys(forms))('%s: length 1, zero stays zero, null stays null, the type stays', async (form) => {
    const input = forms[form]!()
    const table = await new Normalizer({ inputCol: 'v', outputCol: 'n' }).transform(input)
    expect(table.schema.names).toEqual(['v', 'n'])
    expect(String(table.schema.fields[1]!.type)).toBe(String(table.schema.fields[0]!.type))
    const found = numbers(table, 'n')
    for (const [row, expected] of unit.entries()) {
      if (expected === null) expect(found[row]).toBeNull()
      else for (const [i, x] of expected.entries()) expect(found[row]![i]).toBeCloseTo(x, 7)
    }
    expect(numbers(table, 'v')).toEqual(numbers(input, 'v'))
  })

  test('sparse vectors stay sparse', async () => {
    const table = arrowTable({ v: [spark(), [sparse(9, [2, 7], [3, 4]), dense([5])]] })
    const made = await new Normalizer({ inputCol: 'v', outputCol: 'n' }).transform(table)
    expect(numbers(made, 'n')).toEqual([[0.6, 0.8], [1]])
    const [first] = made.getChild('n')!
    expect([first.type, first.size, [...first.indices]]).toEqual([0, 9, [2, 7]])
  })

  test('other norms', async () => {
    const table = arrowTable({ v: ['doubles', [[1, -3]]] })
    const by = async (p: number) =>
      numbers(await new Normalizer({ inputCol: 'v', outputCol: 'n', p }).transform(table), 'n')
    expect(await by(1)).toEqual([[0.25, -0.75]])
    expect(await by(Number.POSITIVE_INFINITY)).toEqual([[1 / 3, -1]])
    expect(() => new Normalizer({ p: 0.5 })).toThrow(/^p: /)
    expect(() => new Normalizer({ column: 'v' } as object)).toThrow(/^column: no such param/)
  })

  test('neither overflow nor underflow', async () => {
    const table = arrowTable({
      v: [
        'doubles',
        [
          [3e200, 4e200],
          [3e-200, 4e-200],
        ],
      ],
    })
    const found = numbers(await new Normalizer({ inputCol: 'v', outputCol: 'n' }).transform(table), 'n')
    for (const row of found) expect(row).toEqual([expect.closeTo(0.6, 12), expect.closeTo(0.8, 12)])
  })
})

describe('VectorConverter', () => {
  const outputs: VectorForm[] = ['array<float>', 'array<double>', 'vector']
  const pairs = Object.keys(forms).flatMap((from) => outputs.map((to) => [from, to] as const))
  test.each(pairs)('%s to %s', async (from, to) => {
    const converter = new VectorConverter({ inputCol: 'v', outputCol: 'w', outputType: to })
    const table = await converter.transform(forms[from]!())
    const exact = to !== 'array<float>' && (from === 'array<double>' || from === 'vector')
    const expected = rows.map((row) => row && (exact ? row : [...Float32Array.from(row)]))
    expect(numbers(table, 'w')).toEqual(expected)
    const { type } = table.schema.fields[1]!
    const element = to === 'array<float>' ? 'Float32' : 'Float64'
    if (to === 'vector') expect(String(type)).toBe(String(spark()))
    else expect(String(type)).toBe(from.startsWith('fixed') ? `FixedSizeList[3]<${element}>` : `List<${element}>`)
  })

  test('sparse vectors become dense', async () => {
    const table = arrowTable({ v: [spark(), [sparse(4, [0, 3], [1, 2]), null, dense([7]), sparse(2, [], [])]] })
    for (const to of outputs) {
      const made = await new VectorConverter({ inputCol: 'v', outputCol: 'w', outputType: to }).transform(table)
      expect(numbers(made, 'w')).toEqual([[1, 0, 0, 2], null, [7], [0, 0]])
    }
    const bad = arrowTable({ v: [spark(), [sparse(2, [2], [1])]] })
    await expect(new VectorConverter({ inputCol: 'v' }).transform(bad)).rejects.toMatchObject({
      code: 'INVALID_VECTOR',
    })
  })

  test('rows of a slice', async () => {
    for (const form of Object.values(forms)) {
      const converter = new VectorConverter({ inputCol: 'v', outputCol: 'w', outputType: 'array<double>' })
      const [whole, part] = [await converter.transform(form()), await converter.transform(form().slice(1, 4))]
      expect(numbers(part, 'w')).toEqual(numbers(whole, 'w').slice(1))
    }
  })

  test('errors name the column and its type', async () => {
    const convert = (table: Table, inputCol = 'v') => new VectorConverter({ inputCol }).transform(table)
    const code = (code: string, text: RegExp) => ({ code, message: expect.stringMatching(text) })
    await expect(convert(arrowTable({ v: ['ints', [[1]]] }))).rejects.toMatchObject(code('COLUMN_TYPE', /"v".*Int32/))
    await expect(convert(arrowTable({ v: ['floats', [[1]]] }), 'x')).rejects.toMatchObject(
      code('COLUMN_NOT_FOUND', /"x".*v/),
    )
    await expect(convert(arrowTable({ v: ['floats', [[1]]], converted: ['int', [1]] }))).rejects.toMatchObject(
      code('COLUMN_CONFLICT', /"converted"/),
    )
    const hole = arrowTable({ v: [new List(new Field('element', new Float32(), true)), [[1], [2, null]]] })
    await expect(convert(hole)).rejects.toMatchObject(code('NULL_VECTOR', /"v".*row 1/))
    expect(() => new VectorConverter({ outputType: 'float[]' as VectorForm })).toThrow(/^outputType: /)
  })
})

test('explainParams: a line a param, with default and value', () => {
  const lines = new Normalizer({ inputCol: 'v', p: 1 }).explainParams().split('\n')
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatch(/^inputCol: .*\(default: vector, current: v\)$/)
  expect(lines[2]).toMatch(/^p: .*\(default: 2, current: 1\)$/)
  void types
})
