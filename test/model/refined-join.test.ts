import { expect, test } from 'vitest'
import { type Metric, type SavedPlan, selfJoin } from '../../src/index.ts'
import { randomSource } from '../../src/join/sample.ts'
import { nearestRows, rowOf } from '../support/oracle.ts'
import { readFlat } from '../support/run.ts'

const dim = 96
const rows = 100_000

const NUM_CENTERS = 10_000

/** Many close clusters of low dimension: few probes find little, and neighbors of neighbors the rest. */
function manyClusters(): Float32Array {
  const next = randomSource(5)
  const uniform = () => next() / 2 ** 32 - 0.5
  const normal = () => uniform() + uniform() + uniform() + uniform()
  const centers = Float32Array.from({ length: NUM_CENTERS * dim }, normal)
  const bases = Float32Array.from({ length: 8 * dim }, normal)
  const vectors = new Float32Array(rows * dim)
  for (let row = 0; row < rows; row++) {
    const center = next() % NUM_CENTERS
    const noise = Array.from({ length: 8 }, normal)
    for (let d = 0; d < dim; d++) {
      const offset = noise.reduce((sum, x, b) => sum + x * bases[b * dim + d]!, 0)
      vectors[row * dim + d] = centers[center * dim + d]! + offset
    }
  }
  vectors.copyWithin(500 * dim, 0, 50 * dim)
  vectors.fill(0, 7 * dim, 8 * dim)
  return vectors
}
const vectors = manyClusters()
const options = { k: 10, recall: 0.97, seed: 2 }
const chosen = selfJoin({ vectors, dim }, { ...options, threads: 2 })
/** Rounds whatever they cost. */
const planned = (metric: Metric): SavedPlan => {
  const rounds = [
    { forward: 16, reverse: 31 },
    { forward: 16, reverse: 31, nprobe: 16 },
  ]
  return {
    ...options,
    method: 'cluster',
    metric,
    lists: 1280,
    effort: { numLists: 1280, nprobe: 8, rescore: 16, rounds },
  }
}

test('the tuner finds that rounds are worth it', async () => {
  const { report } = await chosen
  expect(report.plan.effort?.rounds?.length).toBeGreaterThan(0)
  expect(report.recall.estimate).toBeGreaterThanOrEqual(0.97)
  expect(report.tuning.some(({ preview }) => preview)).toBe(true)
})

test.each(['l2', 'cosine'] as const)('%s: rounds find most, and the recall is reported truly', async (metric) => {
  const { report, ipc } = await selfJoin({ vectors, dim }, { plan: planned(metric), threads: 2 })
  expect(report.recall.estimate).toBeGreaterThan(0.9)
  const { offsets, neighbors, distances } = readFlat(ipc!)
  let [hits, total] = [0, 0]
  for (let row = 0; row < rows; row += 2000) {
    const truth = nearestRows(metric, rowOf(vectors, dim, row), vectors, 10, row)
    const bound = truth.at(-1)!.distance * (1 + 1e-4) + 1e-9
    const found = distances.slice(offsets[row], offsets[row + 1])
    hits += found.filter((distance) => distance <= bound).length
    total += 10
  }
  expect(Math.abs(hits / total - report.recall.estimate)).toBeLessThan(0.03)
  let faults = 0
  for (let row = 0; row < rows; row++) {
    const found = neighbors.slice(offsets[row], offsets[row + 1])
    if (found.length !== 10 || new Set(found).size !== 10 || found.includes(row)) faults++
  }
  expect(faults).toBe(0)
})

test('the same bytes on another number of threads, and from the saved plan', async () => {
  const { report, ipc } = await chosen
  const alone = await selfJoin({ vectors, dim }, { ...options, threads: 1 })
  expect(Buffer.compare(alone.ipc!, ipc!)).toBe(0)
  const again = await selfJoin({ vectors, dim }, { plan: JSON.parse(JSON.stringify(report)) })
  expect(Buffer.compare(again.ipc!, ipc!)).toBe(0)
  expect(again.report.plan.effort).toEqual(report.plan.effort)
  expect(again.report.tuning).toHaveLength(1)
  expect(again.report.recall.estimate).toBeGreaterThan(0.95)
})

test('the items themselves, and only those near enough', async () => {
  const { ipc, report } = await selfJoin({ vectors, dim }, { plan: planned('l2'), includeSelf: true, maxDistance: 0.8 })
  expect(report.plan.effort?.rounds).toHaveLength(2)
  const { offsets, neighbors, distances } = readFlat(ipc!)
  let faults = 0
  for (let row = 0; row < rows; row++) {
    const found = neighbors.slice(offsets[row], offsets[row + 1])
    if (!found.includes(row) && distances[offsets[row + 1]! - 1] !== 0) faults++
  }
  expect(faults).toBe(0)
  expect(Math.max(...distances.slice(0, 10_000))).toBeLessThanOrEqual(Math.fround(0.8))
})

test('a join that is cancelled in a round ends at once', async () => {
  const controller = new AbortController()
  let joins = 0
  const onProgress = ({ stage }: { stage: string }) => {
    if (stage === 'join' && ++joins === 2) controller.abort()
  }
  const join = selfJoin({ vectors, dim }, { ...options, threads: 1, signal: controller.signal, onProgress })
  await expect(join).rejects.toMatchObject({ code: 'CANCELLED' })
})
