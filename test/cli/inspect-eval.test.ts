import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { METRICS } from '../../src/join/metric.ts'
import { nigh, runPython, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
beforeAll(() => void runPython('make_tables.py', directory))

describe('nigh inspect', () => {
  const inspected = (name: string) => {
    const ran = nigh(['inspect', at(name), '--format', 'json'])
    expect(ran.stderr).toBe('')
    return JSON.parse(ran.stdout)
  }

  test('a sound table', () => {
    const { rows, rowGroups, vectors, ids, schema } = inspected('items.parquet')
    expect([rows, rowGroups]).toEqual([1500, 4])
    expect(schema.map(({ name }: { name: string }) => name)).toEqual(['id', 'vector', 'title'])
    expect(vectors[0]).toMatchObject({ column: 'vector', dim: 16, validRows: 1500, zeroVectors: 0 })
    expect(ids).toMatchObject({ column: 'id', duplicates: 0 })
    expect(nigh(['inspect', at('items.parquet')]).stdout).toContain('ready to join')
  })

  test('what a join would meet', () => {
    expect(inspected('nan.parquet').vectors[0].nonFinite).toEqual({
      rows: 2,
      first: { file: at('nan.parquet'), row: 57 },
    })
    expect(inspected('null-vector.parquet').vectors[0].nullVectors.rows).toBe(1)
    expect(inspected('ragged.parquet').vectors[0].ragged.first.row).toBe(30)
    expect(inspected('duplicate-ids.parquet').ids.duplicates).toBe(100)
    expect(inspected('empty.parquet').rows).toBe(0)
    expect(nigh(['inspect', at('nan.parquet')]).stdout).toMatch(
      /NaN or infinite: 2 rows, first in .*nan\.parquet row 57/,
    )
  })

  test('bad files and bad usage', () => {
    expect(nigh(['inspect', at('truncated.parquet')])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('CORRUPT_FILE'),
    })
    expect(nigh(['inspect'])).toMatchObject({ code: 2, stderr: expect.stringContaining('nigh inspect FILE') })
    expect(nigh(['inspect', at('items.parquet'), '--format', 'xml']).code).toBe(2)
  })
})

describe('nigh eval', () => {
  const both = () => ['--queries', at('queries.parquet'), '--items', at('items.parquet')]
  const evaluated = (...args: string[]) => {
    const ran = nigh(['eval', ...args, '--format', 'json'])
    expect(ran.stderr).toBe('')
    return JSON.parse(ran.stdout)
  }
  const joined = (out: string, ...args: string[]) => {
    const ran = nigh(['join', ...args, '--out', at(out), '--force'])
    if (ran.code !== 0) throw new Error(ran.stderr)
    return at(out)
  }

  test.each(METRICS)('an exact result under %s has recall 1, in both layouts', (metric) => {
    for (const layout of ['nested', 'long']) {
      const out = joined(
        'good.parquet',
        at('queries.parquet'),
        at('items.parquet'),
        '--layout',
        layout,
        '--metric',
        metric,
      )
      expect(evaluated(out, ...both(), '--metric', metric)).toMatchObject({
        k: 10,
        recall: { estimate: 1, sampleSize: 60 },
        wrongDistances: 0,
        selfPairs: 0,
        repeatedPairs: 0,
      })
    }
  })

  test('a spoiled result is told for what it is', () => {
    const out = joined('good.parquet', at('queries.parquet'), at('items.parquet'))
    runPython('spoil.py', out, at('spoiled.parquet'))
    // spoil.py sends the last 2 of 10 neighbors far away, and doubles every first distance.
    const evaluation = evaluated(at('spoiled.parquet'), ...both())
    expect(evaluation.recall.estimate).toBeCloseTo(0.8)
    expect(evaluation.wrongDistances).toBeGreaterThanOrEqual(60)
    expect(nigh(['eval', at('spoiled.parquet'), ...both()]).stdout).toMatch(/distances are wrong/)
  })

  test('a self join, and one that names the row itself', () => {
    const self = ['--items', at('items.parquet'), '--self']
    expect(evaluated(joined('self.arrow', at('items.parquet'), '--self'), ...self).recall.estimate).toBe(1)
    const included = joined('self.arrow', at('items.parquet'), '--self', '--include-self')
    expect(evaluated(included, ...self)).toMatchObject({ selfPairs: 1000 })
    expect(evaluated(included, ...self, '--include-self')).toMatchObject({ selfPairs: 0, recall: { estimate: 1 } })
  })

  test('a sample gives an interval', () => {
    const out = joined('self.arrow', at('items.parquet'), '--self')
    const { recall } = evaluated(out, '--items', at('items.parquet'), '--self', '--sample', '100', '--seed', '4')
    expect(recall).toMatchObject({ estimate: 1, high: 1, sampleSize: 100 })
    expect(recall.low).toBeLessThan(1)
  })

  test('ids that are not there, and bad usage', () => {
    const out = joined('other.parquet', at('id-int32.parquet'), '--self')
    expect(nigh(['eval', out, ...both()])).toMatchObject({ code: 1, stderr: expect.stringContaining('UNKNOWN_ID') })
    expect(nigh(['eval', out]).code).toBe(2)
    expect(nigh(['eval', out, '--items', at('items.parquet')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--self'),
    })
  })
})
