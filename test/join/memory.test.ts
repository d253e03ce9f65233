import fc from 'fast-check'
import { expect, test } from 'vitest'
import { leastBudget, type MemoryTask, planMemory, requireRoom } from '../../src/join/memory.ts'
import { memoryBytes } from '../../src/table/budget.ts'

test.each([
  ['512MB', 512e6],
  ['3GB', 3e9],
  ['2GiB', 2 ** 31],
  ['1.5g', 1.5e9],
  ['100 kb', 1e5],
  ['4096', 4096],
  ['70%', 700],
  [12345, 12345],
])('%s', (size, bytes) => {
  expect(memoryBytes(size, () => 1000)).toBe(bytes)
})

test.each(['', 'much', '-1GB', '0', '3XB', '120%', '0%', 0, -5, Number.NaN])('%s is no size', (size) => {
  expect(() => memoryBytes(size)).toThrow(/memory/)
})

const side = (rows: number, dim: number) => ({ rows, dim, heldBytes: rows * 8, threadBytes: 8 << 20, givenBytes: 0 })
const task = (over: Partial<MemoryTask>): MemoryTask => ({
  items: side(10_000_000, 64),
  queries: undefined,
  k: 10,
  recall: 0.95,
  exact: false,
  threads: 2,
  budget: 3e9,
  tmp: '/tmp',
  ...over,
})

test('the less memory, the further the vectors go', () => {
  const way = (budget: number) => planMemory(task({ budget })).way
  expect([8e9, 3e9, 1e9].map(way)).toEqual(['memory', 'spill', 'blocks'])
})

test('a spilled join of ten million rows needs twice their vectors on the disk while lists are laid out', () => {
  expect(planMemory(task({ budget: 3e9 })).tmpBytes).toBe(2 * 10e6 * 64 * 4)
  expect(planMemory(task({ budget: 8e9 })).tmpBytes).toBe(0)
})

test('a disk without room is an error before anything is read', () => {
  const plan = planMemory(task({ budget: 3e9 }))
  const refused = /^\/tmp: temporary files take 5.1 GB, and 5.0 GB are free; .*--tmp.*--memory/
  expect(() => requireRoom(plan, 5e9)).toThrow(refused)
  for (const free of [5.12e9, undefined]) requireRoom(plan, free)
})

const tasks = fc
  .record({
    rows: fc.integer({ min: 0, max: 50_000_000 }),
    queries: fc.option(fc.integer({ min: 0, max: 50_000_000 }), { nil: undefined }),
    dim: fc.integer({ min: 1, max: 2000 }),
    k: fc.integer({ min: 1, max: 1000 }),
    threads: fc.integer({ min: 1, max: 64 }),
    exact: fc.boolean(),
  })
  .map(({ rows, queries, dim, ...rest }) =>
    task({ ...rest, items: side(rows, dim), queries: queries === undefined ? undefined : side(queries, dim) }),
  )

test('the least that is asked for works, and less does not', () => {
  fc.assert(
    fc.property(tasks, (any) => {
      const least = leastBudget(any)
      expect(planMemory({ ...any, budget: least }).peak).toBeLessThanOrEqual(least)
      const less = { ...any, budget: least - 1e6 }
      if (less.budget > 0 && !tryPlan(less)) {
        expect(() => planMemory(less)).toThrow(`it needs ${least / 1e6} MB`)
      }
    }),
  )
})

test('no plan expects more than its budget, and every plan gets on', () => {
  fc.assert(
    fc.property(tasks, fc.integer({ min: 1, max: 100_000 }), (any, megabytes) => {
      const plan = tryPlan({ ...any, budget: megabytes * 1e6 })
      if (!plan) return
      expect(plan.peak).toBeLessThanOrEqual(plan.budget)
      expect(plan.queryRows).toBeGreaterThan(0)
      expect(plan.itemRows).toBeGreaterThan(any.items.rows > 0 ? 0 : -1)
      if (any.items.rows > 0) expect(Math.ceil(any.items.rows / plan.itemRows)).toBeLessThanOrEqual(64)
    }),
  )
})

function tryPlan(any: MemoryTask) {
  try {
    return planMemory(any)
  } catch {
    return undefined
  }
}
