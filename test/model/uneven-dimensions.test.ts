import { expect, test } from 'vitest'
import { selfJoin } from '../../src/index.ts'
import { nearestRows, randomVectors, rowOf } from '../support/oracle.ts'
import { readFlat } from '../support/run.ts'

const dim = 48
const rows = 60_000

/** Rows near planes of few dimensions, one dimension being 100 times as wide as the others. */
function unevenVectors(): Float32Array {
  const factors = randomVectors(rows, 6, 31)
  const loads = randomVectors(6, dim, 37)
  const noise = randomVectors(rows, dim, 41)
  const out = new Float32Array(rows * dim)
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < dim; i++) {
      let sum = 0.05 * noise[row * dim + i]!
      for (let f = 0; f < 6; f++) sum += factors[row * 6 + f]! * loads[f * dim + i]!
      out[row * dim + i] = i === 7 ? 100 * sum : sum
    }
  }
  return out
}

test('lists reach the recall where one dimension is far wider than the others', async () => {
  const vectors = unevenVectors()
  const k = 10
  const { report, ipc } = await selfJoin({ vectors, dim }, { k, recall: 0.95, seed: 5, threads: 2 })
  expect(report.plan.method).toBe('cluster')
  expect(report.plan.stages.find(({ stage }) => stage === 'cluster')?.params).toMatchObject({ codes: 'rotated' })
  // Plain codes take several times the candidates, where they reach it at all.
  expect(report.plan.effort!.rescore).toBeLessThanOrEqual(24)
  expect(report.recall.estimate).toBeGreaterThanOrEqual(0.95)
  const { offsets, distances } = readFlat(ipc!)
  let found = 0
  const sample = 60
  for (let i = 0; i < sample; i++) {
    const row = i * (rows / sample)
    const farthest = nearestRows('l2', rowOf(vectors, dim, row), vectors, k, row).at(-1)!.distance
    found += distances.slice(offsets[row], offsets[row + 1]).filter((d) => d <= farthest * (1 + 1e-5)).length
  }
  expect(found / (sample * k)).toBeGreaterThan(0.92)
})
