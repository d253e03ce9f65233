import { describe, expect, test } from 'vitest'
import { type JoinReport, NearestNeighbors, selfJoin } from '../../src/index.ts'
import { nearestRows, randomVectors, rowOf } from '../support/oracle.ts'
import { type FlatResult, readFlat } from '../support/run.ts'

// Enough rows that lists are cheaper than an exact search, at every level.
const dim = 32
const rows = 60_000
const vectors = randomVectors(rows, dim, 11, 0.05)
const items = { vectors, dim }

/** The recall of every 1000th row against the float64 oracle: ties and duplicates count as found. */
function trueRecall({ offsets, distances }: FlatResult, k: number): number {
  let [hits, total] = [0, 0]
  for (let row = 0; row < rows; row += 1000) {
    const truth = nearestRows('l2', rowOf(vectors, dim, row), vectors, k, row)
    const bound = truth.at(-1)!.distance * (1 + 1e-4)
    hits += distances.slice(offsets[row], offsets[row + 1]).filter((distance) => distance <= bound).length
    total += truth.length
  }
  return hits / total
}

describe('a self join by lists', () => {
  const joined = selfJoin(items, { k: 10, recall: 0.9, seed: 5, threads: 2 })

  test('reaches its recall, and reports it truly', async () => {
    const { report, ipc } = await joined
    expect(report.plan.method).toBe('cluster')
    expect(report.plan.tuned).toBe(true)
    expect(report.recall.target).toBe(0.9)
    expect(report.recall.estimate).toBeGreaterThanOrEqual(0.9)
    expect(report.recall.sampleSize).toBe(1000)
    const { low, high, estimate } = report.recall
    expect(low).toBeLessThan(estimate)
    expect(high).toBeGreaterThan(estimate)
    const found = readFlat(ipc!)
    expect(found.offsets.length).toBe(rows + 1)
    expect(Math.abs(trueRecall(found, 10) - estimate)).toBeLessThan(0.04)
  })

  test('finds no row twice, nor the row itself, in ascending order', async () => {
    const { offsets, neighbors, distances } = readFlat((await joined).ipc!)
    let faults = 0
    for (let row = 0; row < rows; row++) {
      const [start, end] = [offsets[row]!, offsets[row + 1]!]
      const found = new Set(neighbors.slice(start, end))
      if (end - start !== 10 || found.size !== 10 || found.has(row)) faults++
      for (let i = start + 1; i < end; i++) if (distances[i]! < distances[i - 1]!) faults++
    }
    expect(faults).toBe(0)
  })

  test('the same seed gives the same bytes on other threads', async () => {
    const again = await selfJoin(items, { k: 10, recall: 0.9, seed: 5, threads: 1 })
    expect(Buffer.compare(again.ipc!, (await joined).ipc!)).toBe(0)
    expect(again.report.tuning).toEqual((await joined).report.tuning)
  })

  test('its report says what was done', async () => {
    const { report }: { report: JoinReport } = await joined
    expect(report.rows).toEqual({ queries: rows, items: rows, neighbors: rows * 10 })
    const { total, ...stages } = report.seconds
    expect(Object.keys(stages)).toEqual(['read', 'cluster', 'tune', 'join', 'write'])
    expect(stages.cluster).toBeGreaterThan(0)
    expect(total).toBeCloseTo(Object.values(stages).reduce((sum, s) => sum + s, 0))
    expect(report.peakMemoryBytes).toBeGreaterThan(1e7)
    expect(report.tuning.map(({ sample }) => sample)).toContain('validate')
  })
})

test('a model keeps its lists from call to call', async () => {
  await using model = await new NearestNeighbors({ k: 5, recall: 0.9 }).fit(items)
  const first = await model.joinSelf()
  const second = await model.joinSelf()
  expect(first.report.plan.method).toBe('cluster')
  expect(first.report.seconds.cluster).toBeLessThan(0.05)
  expect(Buffer.compare(first.ipc!, second.ipc!)).toBe(0)
})
