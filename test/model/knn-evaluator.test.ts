import { Field, Float32, Float64, Int32, List, Struct, Utf8 } from 'apache-arrow'
import { expect, test } from 'vitest'
import { BruteForce, KnnEvaluator } from '../../src/index.ts'
import { arrowTable } from '../support/arrow.ts'

const neighbors = (id = new Int32() as Int32 | Utf8, distance = new Float32() as Float32 | Float64) =>
  new List(
    new Field('element', new Struct([new Field('neighbor', id, false), new Field('distance', distance, false)]), false),
  )
const list = (...pairs: (readonly [unknown, number])[]) => pairs.map(([neighbor, distance]) => ({ neighbor, distance }))
const evaluator = new KnnEvaluator({ approximateNeighborsCol: 'a', exactNeighborsCol: 'e' })

test('found over asked, summed over all rows first', async () => {
  // Two of three in all: one of one, and one of two.
  const exact = [list([1, 0.1]), list([2, 0.1], [3, 0.2])]
  const found = [list([1, 0.1]), list([2, 0.1], [9, 0.7])]
  const table = arrowTable({ a: [neighbors(), found], e: [neighbors(), exact] })
  expect(await evaluator.evaluate(table)).toBeCloseTo(2 / 3, 12)
  // Three of four; the mean of the rows would be the same only by chance.
  const three = arrowTable({
    a: [neighbors(), [list([1, 0.1], [2, 0.2], [3, 0.3]), list([7, 9])]],
    e: [neighbors(), [list([1, 0.1], [2, 0.2], [3, 0.3]), list([4, 1])]],
  })
  expect(await evaluator.evaluate(three)).toBe(0.75)
})

test('no rows, or none with neighbors: 1', async () => {
  expect(await evaluator.evaluate(arrowTable({ a: [neighbors(), []], e: [neighbors(), []] }))).toBe(1)
  expect(await evaluator.evaluate(arrowTable({ a: [neighbors(), [[]]], e: [neighbors(), [null]] }))).toBe(1)
  expect(await evaluator.evaluate(arrowTable({ a: [neighbors(), [null]], e: [neighbors(), [list([1, 1])]] }))).toBe(0)
})

test('ties are fair; twice the same neighbor is one', async () => {
  const table = (found: unknown, exact: unknown) => arrowTable({ a: [neighbors(), [found]], e: [neighbors(), [exact]] })
  const exact = list([1, 0], [2, 1])
  expect(await evaluator.evaluate(table(list([1, 0], [3, 1.00001]), exact))).toBe(1)
  expect(await evaluator.evaluate(table(list([1, 0], [3, 1.01]), exact))).toBe(0.5)
  expect(await evaluator.evaluate(table(list([1, 0], [1, 0]), exact))).toBe(0.5)
  expect(await evaluator.evaluate(table(list([5, 0], [6, 0], [7, 1]), exact))).toBe(1)
})

test('ids of any type, lists of ids alone, distances of another width', async () => {
  const found = arrowTable({
    a: [neighbors(new Utf8(), new Float64()), [list(['x', 1], ['y', 2])]],
    e: [neighbors(new Utf8()), [list(['x', 1], ['z', 1.5])]],
  })
  expect(await evaluator.evaluate(found)).toBe(0.5)
  const alone = arrowTable({ a: ['ints', [[1, 2, 3, 4]]], e: ['ints', [[4, 3, 9, 8]]] })
  expect(await evaluator.evaluate(alone)).toBe(0.5)
})

test('columns that are not there, or no neighbors, are errors', async () => {
  const table = arrowTable({ a: ['ints', [[1]]], e: ['int', [1]] })
  await expect(evaluator.evaluate(table)).rejects.toMatchObject({
    code: 'COLUMN_TYPE',
    message: expect.stringMatching(/"e".*Int32/),
  })
  await expect(new KnnEvaluator().evaluate(table)).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
})

test('two models in one table, the columns named apart', async () => {
  const items = arrowTable({ id: ['int', [1, 2, 3]], vector: ['floats', [[0], [1], [2]]] })
  await using exact = await new BruteForce({ k: 2, predictionCol: 'e' }).fit(items)
  await using half = await new BruteForce({ k: 1, predictionCol: 'a' }).fit(items)
  expect(await evaluator.evaluate(await half.transform(await exact.transform(items)))).toBe(0.5)
})
