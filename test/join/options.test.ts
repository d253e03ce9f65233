import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { type JoinOptions, joinParams } from '../../src/join/options.ts'

test('defaults', () => {
  expect(joinParams({})).toMatchObject({
    k: 10,
    metric: 'l2',
    recall: 0.95,
    exact: false,
    layout: 'nested',
    onInvalid: 'fail',
    threads: availableParallelism(),
    seed: 0,
    force: false,
  })
})

test('exact has recall 1, and recall 1 is exact', () => {
  expect(joinParams({ exact: true })).toMatchObject({ exact: true, recall: 1 })
  expect(joinParams({ recall: 1 })).toMatchObject({ exact: true, recall: 1 })
})

test('one name serves both sides, and each side may have its own', () => {
  const { query, item } = joinParams({ idCol: 'key', queryFeaturesCol: 'q', featuresCol: 'v', columns: ['title'] })
  expect(query).toEqual({ idCol: 'key', featuresCol: 'q', columns: [] })
  expect(item).toEqual({ idCol: 'key', featuresCol: 'v', columns: ['title'] })
})

const wrong: [string, Record<string, unknown>][] = [
  ['k', { k: 0 }],
  ['k', { k: -1 }],
  ['k', { k: 2.5 }],
  ['k', { k: '10' }],
  ['k', { k: Number.NaN }],
  ['recall', { recall: 0 }],
  ['recall', { recall: 1.01 }],
  ['recall', { recall: Number.NaN }],
  ['recall', { recall: 0.9, exact: true }],
  ['exact', { exact: 'yes' }],
  ['metric', { metric: 'euclid' }],
  ['layout', { layout: 'wide' }],
  ['onInvalid', { onInvalid: 'ignore' }],
  ['maxDistance', { maxDistance: Number.NaN }],
  ['threads', { threads: 0 }],
  ['threads', { threads: 1e9 }],
  ['seed', { seed: -1 }],
  ['seed', { seed: 0.5 }],
  ['columns', { columns: ['a', 'a'] }],
  ['columns', { columns: 'a' }],
  ['idCol', { idCol: '' }],
  ['rejects', { rejects: 'rejects.parquet' }],
  ['kay', { kay: 10 }],
]
test.each(wrong)('%s is named when it is wrong: %o', (name, options) => {
  expect(() => joinParams(options as JoinOptions)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(new RegExp(`^${name}: `)) }),
  )
})
