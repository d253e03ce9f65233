import { expect, test } from 'vitest'
import { type Attempt, best, exponent, frontier, median, nearest, describe as words } from '../../bench/choose.ts'

const attempt = (name: string, recall: number, build: number, search: number, runs = 1): Attempt => ({
  build: { name },
  search: {},
  runs: Array.from({ length: runs }, () => ({
    build: { wall: build, cpu: build / 2, peakBytes: 1 },
    search: { wall: search, cpu: 100 - search, peakBytes: 1 },
    recall,
    standardError: 0.01,
  })),
})
const name = (found: Attempt | undefined) => found?.build.name

test('the best setting reaches the recall in the least time', () => {
  const attempts = [attempt('fast', 0.94, 1, 1), attempt('right', 0.95, 5, 4), attempt('slow', 0.99, 5, 5)]
  expect(name(best(attempts, 0.95, 'join', 'wall'))).toBe('right')
  expect(name(best(attempts, 0.9, 'join', 'wall'))).toBe('fast')
  expect(best(attempts, 0.999, 'join', 'wall')).toBeUndefined()
})

test('what counts decides: the build or not, wall or CPU', () => {
  const attempts = [attempt('cheap build', 0.95, 1, 6), attempt('cheap search', 0.95, 9, 2)]
  expect(name(best(attempts, 0.95, 'join', 'wall'))).toBe('cheap build')
  expect(name(best(attempts, 0.95, 'search', 'wall'))).toBe('cheap search')
  expect(name(best(attempts, 0.95, 'search', 'cpu'))).toBe('cheap build')
})

test('a setting that was run again stands before one that was lucky once', () => {
  const attempts = [attempt('once', 0.95, 1, 1), attempt('thrice', 0.95, 1, 2, 3)]
  expect(name(best(attempts, 0.95, 'join', 'wall'))).toBe('thrice')
})

test('a target that none reaches shows the nearest', () => {
  expect(name(nearest([attempt('a', 0.5, 1, 1), attempt('b', 0.8, 1, 1), attempt('c', 0.7, 1, 1)]))).toBe('b')
  expect(nearest([])).toBeUndefined()
})

test('the frontier leaves out what another beats in recall and speed', () => {
  const points = [
    { recall: 0.9, rate: 10 },
    { recall: 0.95, rate: 12 },
    { recall: 0.99, rate: 3 },
    { recall: 0.99, rate: 2 },
  ]
  expect(frontier(points)).toEqual([points[1], points[2]])
})

test('medians and exponents', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(exponent([10, 100, 1000].map((x) => ({ x, y: 3 * x ** 1.2 })))).toBeCloseTo(1.2)
  expect(exponent([{ x: 10, y: 1 }])).toBeUndefined()
})

test('a setting in words', () => {
  expect(words({ m: 16, exact: true })).toBe('m 16, exact')
  expect(words({})).toBe('as it is')
})
