import { describe, expect, test } from 'vitest'
import { joinParams } from '../../src/join/options.ts'
import { savedPlan } from '../../src/join/saved-plan.ts'

const cluster = {
  method: 'cluster',
  metric: 'cosine',
  k: 7,
  recall: 0.9,
  seed: 3,
  lists: 128,
  effort: {
    numLists: 131,
    nprobe: 8,
    rescore: 16,
    rounds: [
      { forward: 8, reverse: 8 },
      { forward: 16, reverse: 31, nprobe: 32 },
    ],
  },
}
const exact = { method: 'exact', metric: 'l2', k: 10, recall: 1, seed: 0, precision: 'int8' }

test('a report holds a plan, and a plan survives JSON', () => {
  const read = savedPlan(JSON.parse(JSON.stringify({ plan: cluster, rows: 5 })))
  expect(read).toEqual(cluster)
  expect(savedPlan(exact)).toEqual(exact)
})

test('its k, metric, recall and seed are the defaults of a join', () => {
  const params = joinParams({ plan: cluster as never })
  expect(params).toMatchObject({ k: 7, metric: 'cosine', recall: 0.9, seed: 3, exact: false })
  expect(joinParams({ plan: exact as never })).toMatchObject({ exact: true, recall: 1 })
})

describe('refused', () => {
  test.each([
    ['a text', 'plan', 'not an object'],
    ['no method', { ...cluster, method: undefined }, 'method'],
    ['no effort', { ...cluster, effort: undefined }, 'effort'],
    ['nprobe 0', { ...cluster, effort: { ...cluster.effort, nprobe: 0 } }, 'nprobe'],
    ['rounds of text', { ...cluster, effort: { ...cluster.effort, rounds: ['x'] } }, 'a round'],
    ['recall 2', { ...cluster, recall: 2 }, 'recall'],
    ['no precision', { ...exact, precision: undefined }, 'precision'],
  ])('%s', (_, plan, word) => {
    expect(() => savedPlan(plan)).toThrow(word)
  })

  test.each([
    [{ k: 9 }, 'made for 7, not 9'],
    [{ metric: 'l2' as const }, 'made for cosine, not l2'],
    [{ exact: true }, 'made for false, not true'],
  ])('what contradicts it: %j', (options, message) => {
    expect(() => joinParams({ ...options, plan: cluster as never })).toThrow(message)
  })
})
