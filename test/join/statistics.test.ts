import { expect, test } from 'vitest'
import { randomSource } from '../../src/join/sample.ts'
import { estimateRecall, mean, standardError, wilson } from '../../src/join/statistics.ts'

test('mean and standard error', () => {
  expect(mean([1, 2, 3, 4])).toBe(2.5)
  expect(standardError([1, 2, 3, 4])).toBeCloseTo(Math.sqrt(5 / 3 / 4))
  expect(standardError([0.5])).toBe(0)
})

test("Wilson's interval has the published values", () => {
  // 9 of 10: 0.5958 to 0.9821 (Wilson 1927, as tabulated by Newcombe 1998 for method 3).
  const { low, high } = wilson(0.9, 10)
  expect(low).toBeCloseTo(0.5958, 4)
  expect(high).toBeCloseTo(0.9821, 4)
})

test('a perfect sample is not certainty', () => {
  const { estimate, low, high, sampleSize } = estimateRecall(new Float32Array(1000).fill(1), 1e6)
  expect([estimate, high, sampleSize]).toEqual([1, 1, 1000])
  expect(low).toBeGreaterThan(0.99)
  expect(low).toBeLessThan(1)
})

test('a sample of everybody is', () => {
  const recalls = Float32Array.from([1, 0.5, 1, 0.5])
  expect(estimateRecall(recalls, 4)).toEqual({ estimate: 0.75, low: 0.75, high: 0.75, sampleSize: 4 })
})

test('no queries: nothing was missed', () => {
  expect(estimateRecall(new Float32Array(0), 0)).toEqual({ estimate: 1, low: 1, high: 1, sampleSize: 0 })
})

test('the interval holds the true mean about 95 times of 100, and stays within 0 and 1', () => {
  const next = randomSource(1)
  const p = 0.96
  let held = 0
  const trials = 600
  for (let t = 0; t < trials; t++) {
    const recalls = Float32Array.from({ length: 500 }, () => {
      let found = 0
      for (let j = 0; j < 10; j++) if (next() / 2 ** 32 < p) found++
      return found / 10
    })
    const { low, high } = estimateRecall(recalls, 1e6)
    expect(low).toBeGreaterThanOrEqual(0)
    expect(high).toBeLessThanOrEqual(1)
    if (low <= p && p <= high) held++
  }
  expect(held / trials).toBeGreaterThan(0.92)
  expect(held / trials).toBeLessThan(0.98)
})
