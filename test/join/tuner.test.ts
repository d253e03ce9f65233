import { expect, test } from 'vitest'
import type { Effort } from '../../src/join/cost.ts'
import { type Measure, type TuneTask, tune } from '../../src/join/tuner.ts'

const task: TuneTask = {
  shape: { queries: 1e6, items: 1e6, dim: 128, self: true },
  k: 10,
  recall: 0.95,
  numLists: 4032,
  seed: 0,
  level: 'avx512',
}

/** A search whose recall is a function of its effort, with the samples it was asked for. */
function fake(recallOf: (effort: Effort, sample: number) => number): { measure: Measure; samples: Uint32Array[] } {
  const samples: Uint32Array[] = []
  const measure: Measure = async (sample, effort) => {
    if (!samples.includes(sample)) samples.push(sample)
    const recall = Math.max(0, Math.min(1, recallOf(effort, samples.indexOf(sample))))
    // Alternating about the mean: a standard error to reckon with.
    return Float32Array.from(sample, (_, i) => Math.max(0, Math.min(1, recall + (i % 2 ? 0.02 : -0.02))))
  }
  return { measure, samples }
}
const saturating = ({ nprobe }: Effort) => 1 - 0.6 / nprobe ** 0.7

test('finds about the least nprobe, and validates it on rows of its own', async () => {
  const { measure, samples } = fake(saturating)
  const tuned = await tune(task, measure)
  const least = Math.ceil((0.6 / 0.05) ** (1 / 0.7))
  expect(tuned.effort!.nprobe).toBeGreaterThanOrEqual(least)
  expect(tuned.effort!.nprobe).toBeLessThanOrEqual(least * 1.15)
  expect(tuned.recall!.estimate).toBeGreaterThanOrEqual(0.95)
  expect(samples).toHaveLength(2)
  expect([...samples[0]!].filter((row) => samples[1]!.includes(row))).toEqual([])
  expect(tuned.steps.at(-1)!.sample).toBe('validate')
})

test('goes on with fresh samples until the recall is met', async () => {
  // The first sample flatters by 3 %.
  const { measure, samples } = fake((effort, sample) => saturating(effort) + (sample === 0 ? 0.03 : 0))
  const tuned = await tune(task, measure)
  expect(samples.length).toBeGreaterThan(2)
  expect(tuned.recall!.estimate).toBeGreaterThanOrEqual(0.95)
  const validations = tuned.steps.filter(({ sample }) => sample === 'validate')
  for (const { recall } of validations.slice(0, -1)) expect(recall).toBeLessThan(0.95)
})

test('rescores more where probing gains nothing', async () => {
  const { measure } = fake((effort) => Math.min(saturating(effort), 0.8 + effort.rescore / 200))
  const tuned = await tune(task, measure)
  expect(tuned.effort!.rescore).toBeGreaterThan(30)
  expect(tuned.recall!.estimate).toBeGreaterThanOrEqual(0.95)
})

test('goes exact rather than report an unmet recall', async () => {
  for (const recallOf of [() => 0.5, ({ nprobe }: Effort) => nprobe / 4032]) {
    const tuned = await tune(task, fake(recallOf).measure)
    expect(tuned.effort).toBeUndefined()
    expect(tuned.recall).toBeUndefined()
    expect(tuned.reason).not.toBe('')
  }
})

test('goes exact when no rows are left to validate on', async () => {
  const small = { ...task, shape: { ...task.shape, queries: 900 } }
  expect(await tune(small, fake(saturating).measure)).toMatchObject({ effort: undefined })
})

test('stops at one list where that is enough', async () => {
  const tuned = await tune(task, fake(() => 1).measure)
  expect(tuned.effort!.nprobe).toBe(1)
})

test('the same seed gives the same steps', async () => {
  const run = () => tune({ ...task, seed: 3 }, fake(saturating).measure)
  expect(await run()).toEqual(await run())
})
