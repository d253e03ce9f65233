import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blocksOf } from '../../src/model/spark/blocks.ts'

test('blocks hold each partition with rows once, in order', () => {
  const rows = fc.array(fc.oneof(fc.constant(0), fc.nat(1000)), { maxLength: 40 })
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 20 }), (partitions, numBlocks) => {
      const blocks = blocksOf(partitions, numBlocks)
      const covered = blocks.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i))
      expect(covered).toEqual([...covered].sort((a, b) => a - b))
      expect(new Set(covered).size).toBe(covered.length)
      for (const [i, count] of partitions.entries()) if (count > 0) expect(covered).toContain(i)
      for (const [i, { block, first, count, rows }] of blocks.entries()) {
        expect(block).toBe(i)
        expect(rows).toBe(partitions.slice(first, first + count).reduce((a, b) => a + b, 0))
        expect(rows).toBeGreaterThan(0)
      }
    }),
  )
})

test('about as many as asked for', () => {
  expect(blocksOf([10, 10, 10, 10], 2).map(({ rows }) => rows)).toEqual([20, 20])
  expect(blocksOf([100, 1, 1], 2).map(({ rows }) => rows)).toEqual([100, 2])
  expect(blocksOf([], 3)).toEqual([])
})
