import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RowSampler } from '../../src/join/sample.ts'

test('samples are disjoint, ascending, in range, and use up the rows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300 }),
      fc.array(fc.integer({ min: 0, max: 120 })),
      fc.nat(),
      (rows, counts, seed) => {
        const sampler = new RowSampler(rows, seed)
        const seen = new Set<number>()
        for (const count of counts) {
          const left = sampler.left
          const sample = sampler.take(count)
          expect(sample.length).toBe(Math.min(count, left))
          expect([...sample]).toEqual([...sample].sort((a, b) => a - b))
          for (const row of sample) {
            expect(row).toBeLessThan(rows)
            expect(seen.has(row)).toBe(false)
            seen.add(row)
          }
        }
        expect(sampler.left).toBe(rows - seen.size)
      },
    ),
  )
})

test('the seed decides', () => {
  const draw = (seed: number) => [...new RowSampler(1e6, seed).take(100)]
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(draw(2 ** 40 + 1)).not.toEqual(draw(1))
})

test('rows are drawn evenly', () => {
  const hits = new Float64Array(10)
  for (let seed = 0; seed < 2000; seed++) for (const row of new RowSampler(10, seed).take(3)) hits[row]!++
  for (const count of hits) expect(Math.abs(count - 600)).toBeLessThan(5 * Math.sqrt(600))
})
