// Metrics and forms of vectors in models: what is saved, appended and deleted answers as what was fitted.

import { join } from 'node:path'
import { Bool, Field, Float64, Int8, Int32, List, Struct, type Table, tableToIPC } from 'apache-arrow'
import { expect, test } from 'vitest'
import { BruteForce, BruteForceModel, type BruteForceOptions } from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'
import { randomVectors } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const [rows, dim] = [60, 40]
const random = randomVectors(rows, dim, 9)
const ids = Array.from({ length: rows }, (_, i) => i)
const numbers = (row: number) => [...random.subarray(row * dim, row * dim + dim)]
const kinds = ids.map((i) => i % 3)
const list = <T extends Bool | Float64 | Int32>(type: T) => new List(new Field('element', type, false))
const spark = new Struct([
  new Field('type', new Int8(), false),
  new Field('size', new Int32(), true),
  new Field('indices', list(new Int32()), true),
  new Field('values', list(new Float64()), true),
])
/** Long and mostly zero: such vectors are kept as pairs. */
const long = 2000
const sparse = (row: number) => {
  const pairs = numbers(row).flatMap((x, i) => (x > 0.8 ? [[i, x] as const] : []))
  return { type: 0, size: long, indices: pairs.map(([i]) => i), values: pairs.map(([, x]) => x) }
}
const tables: Record<string, Table> = {
  floats: arrowTable({ id: ['int', ids], vector: ['floats', ids.map(numbers)], kind: ['int', kinds] }),
  bits: arrowTable({
    id: ['int', ids],
    vector: [list(new Bool()), ids.map((row) => numbers(row).map((x) => x > 0))],
    kind: ['int', kinds],
  }),
  sparse: arrowTable({ id: ['int', ids], vector: [spark, ids.map(sparse)], kind: ['int', kinds] }),
  dense: arrowTable({
    id: ['int', ids],
    vector: [
      'doubles',
      ids.map((row) => {
        const { indices, values } = sparse(row)
        const all = new Array<number>(long).fill(0)
        for (const [i, at] of indices.entries()) all[at] = values[i]!
        return all
      }),
    ],
    kind: ['int', kinds],
  }),
}

const chebyshev = (a: Float32Array, b: Float32Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)
const cases: [form: string, metric: BruteForceOptions['metric']][] = [
  ['floats', 'squared-l2'],
  ['floats', 'correlation'],
  ['floats', 'inner-product'],
  ['floats', 'manhattan'],
  ['floats', 'canberra'],
  ['floats', 'bray-curtis'],
  ['floats', chebyshev],
  ['bits', 'hamming'],
  ['bits', 'jaccard'],
  ['sparse', 'cosine'],
  ['sparse', 'l1'],
]

test.each(cases)('%s, %s', async (form, metric) => {
  const table = tables[form]!
  const path = join(directory, `${form} ${typeof metric === 'function' ? 'own' : metric}`)
  const params = { metric, k: 7, excludeSelf: true, outputFormat: 'minimal' } as const
  await using whole = await new BruteForce(params).fit(table)
  const answer = neighborsOf(await whole.transform(table))
  expect(answer[0]!.ids).toHaveLength(7)
  await whole.save(path)
  const again = typeof metric === 'function' ? { metric } : {}
  await using loaded = await BruteForceModel.load(path, again)
  expect(tableToIPC(await loaded.transform(table))).toEqual(tableToIPC(await whole.transform(table)))
  if (typeof metric === 'function') {
    await expect(BruteForceModel.load(path)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  }
  await loaded.delete([3, 59])
  await loaded.append(table.slice(3, 4))
  await loaded.append(table.slice(59))
  expect(neighborsOf(await loaded.transform(table)).map(({ distances }) => distances)).toEqual(
    answer.map(({ distances }) => distances),
  )
  await using parted = await new BruteForce({ ...params, partitionCol: 'kind', queryPartitionsCol: 'kind' }).fit(table)
  for (const [row, { ids: near }] of neighborsOf(await parted.transform(table)).entries()) {
    expect(near).toHaveLength(7)
    expect(near.every((id) => (id as number) % 3 === row % 3 && id !== row)).toBe(true)
  }
})

test('sparse vectors give what dense ones give', async () => {
  const of = async (table: Table) => {
    await using model = await new BruteForce({ k: 5, metric: 'cosine' }).fit(table)
    return neighborsOf(await model.transform(table))
  }
  const [sparse, dense] = [await of(tables.sparse!), await of(tables.dense!)]
  for (const [row, { ids: near, distances }] of dense.entries()) {
    expect(sparse[row]!.ids).toEqual(near)
    for (const [i, d] of distances.entries()) expect(sparse[row]!.distances[i]).toBeCloseTo(d, 6)
  }
  await using model = await new BruteForce().fit(tables.sparse!)
  await expect(model.append(tables.dense!.slice(0, 1))).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
})
