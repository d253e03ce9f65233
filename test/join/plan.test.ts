import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  baseRescore,
  chooseNumLists,
  clusterSearchSeconds,
  exactPrecision,
  exactSeconds,
  guessNprobe,
} from '../../src/join/cost.ts'
import { explainPlan, formatBytes, formatSeconds } from '../../src/join/explain.ts'
import { joinParams } from '../../src/join/options.ts'
import { planJoin } from '../../src/join/plan.ts'

const params = joinParams({ threads: 2 })
const shapeOf = (queries: number, items: number, dim: number, self = false) => ({ queries, items, dim, self })
const million = shapeOf(1e6, 1e6, 128, true)
const levels = ['scalar', 'avx2', 'avx512', 'neon'] as const

test('small joins are exact, large ones probe lists, at every level', () => {
  for (const level of levels) {
    expect(planJoin(shapeOf(100, 1000, 128), params, level).method).toBe('exact')
    expect(planJoin(shapeOf(500, 1e6, 128), params, level).method).toBe('exact')
    expect(planJoin(million, params, level).method).toBe('cluster')
  }
})

test('exact is exact, whatever it costs', () => {
  const plan = planJoin(million, joinParams({ exact: true }), 'avx512')
  expect(plan).toMatchObject({ method: 'exact', effort: undefined, recall: 1 })
  expect(plan.stages.map(({ stage }) => stage)).toEqual(['read', 'join', 'write'])
})

test('a plan has its stages in order, and its time is theirs', () => {
  const plan = planJoin(million, params, 'avx512')
  expect(plan.stages.map(({ stage }) => stage)).toEqual(['read', 'cluster', 'tune', 'join', 'write'])
  expect(plan.seconds).toBeCloseTo(plan.stages.reduce((sum, { seconds }) => sum + seconds, 0))
  expect(plan.tuned).toBe(false)
})

test('threads change the time, never the choice', () => {
  const choose = (threads: number) => planJoin(million, joinParams({ threads }), 'avx512')
  const [one, eight] = [choose(1), choose(8)]
  expect(eight.effort).toEqual(one.effort)
  expect(eight.seconds).toBeCloseTo(one.seconds / 8)
})

test('a tuned effort is kept; without one the join is exact for the reason given', () => {
  const effort = { numLists: 4032, nprobe: 7, rescore: 24 }
  expect(planJoin(million, params, 'avx512', { effort, reason: 'met' })).toMatchObject({ effort, tuned: true })
  const exact = planJoin(million, params, 'avx512', { reason: 'because' })
  expect(exact).toMatchObject({ method: 'exact', reason: 'because' })
})

test('an empty side is planned, too', () => {
  for (const shape of [shapeOf(0, 0, 0), shapeOf(10, 0, 0), shapeOf(0, 10, 4)]) {
    const plan = planJoin(shape, params, 'avx2')
    expect(plan.method).toBe('exact')
    expect(Number.isFinite(plan.seconds)).toBe(true)
    expect(explainPlan(plan)).toContain('Method: exact')
  }
})

test('work grows with what there is to do', () => {
  const size = fc.integer({ min: 1, max: 1e6 })
  fc.assert(
    fc.property(size, size, fc.integer({ min: 1, max: 4096 }), (queries, items, dim) => {
      const shape = shapeOf(queries, items, dim)
      const cost = (s: typeof shape) => exactSeconds(s, 10, exactPrecision(s, 10, 'avx2'), 'avx2')
      expect(cost(shape)).toBeGreaterThan(0)
      expect(cost({ ...shape, items: items * 2 })).toBeGreaterThan(cost(shape))
      const numLists = chooseNumLists(items)
      const probing = (nprobe: number) => clusterSearchSeconds(shape, { numLists, nprobe, rescore: 16 }, 'avx2')
      expect(probing(2)).toBeGreaterThanOrEqual(probing(1))
    }),
  )
})

test('lists, guesses and rescoring', () => {
  expect(chooseNumLists(1e6) % 64).toBe(0)
  expect(chooseNumLists(1)).toBe(64)
  expect(guessNprobe(0.99, 4096)).toBeGreaterThan(guessNprobe(0.9, 4096))
  expect(guessNprobe(0.999999, 64)).toBeLessThanOrEqual(64)
  expect(baseRescore(10)).toBe(16)
  expect(baseRescore(100)).toBeGreaterThanOrEqual(106)
})

test('an explanation says what, how, how long and with how much', () => {
  const text = explainPlan(planJoin(million, params, 'avx512'))
  expect(text).toContain('each of 1,000,000 rows with its 10 nearest others')
  expect(text).toMatch(/Method: cluster \(an exact search would cost .* times as much\)/)
  expect(text).toMatch(/Estimated: [\d.]+ s, [\d.]+ GB of memory \(2 threads with avx512 kernels\)/)
})

test('units', () => {
  expect([0.0001, 0.5, 42, 100, 7200].map(formatSeconds)).toEqual(['1 ms', '0.50 s', '42.0 s', '1.7 min', '2.0 h'])
  expect([10, 5e6, 2.5e9].map(formatBytes)).toEqual(['1 kB', '5 MB', '2.5 GB'])
})

test('duplicates are searched once', () => {
  const same = planJoin({ ...million, distinct: 2000 }, params, 'avx512')
  expect(same.method).toBe('exact')
  expect(same.seconds).toBeLessThan(planJoin(million, params, 'avx512').seconds)
})
