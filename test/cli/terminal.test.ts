import { expect, test } from 'vitest'
import { describeProgress, progressLine } from '../../src/cli/terminal.ts'

/** Collects what is written. */
function stream(isTTY: boolean): { written: string[]; stream: NodeJS.WriteStream } {
  const written: string[] = []
  const fake = { isTTY, columns: 60, write: (text: string) => written.push(text) }
  return { written, stream: fake as unknown as NodeJS.WriteStream }
}

test('stage, rows, rate and time left', () => {
  expect(describeProgress({ stage: 'join', done: 250_000, total: 1_000_000 }, 5)).toBe(
    'join  250,000 of 1,000,000 rows (25 %), 50,000 rows/s, 15.0 s left',
  )
  expect(describeProgress({ stage: 'read', done: 0, total: 0 }, 1)).toBe('read...')
})

test('a terminal sees one line redrawn, no wider than it is', () => {
  const { written, stream: tty } = stream(true)
  const line = progressLine(tty, false)
  line.onProgress!({ stage: 'read', done: 1, total: 2 })
  line.onProgress!({ stage: 'join', done: 5_000_000, total: 10_000_000 })
  line.end()
  expect(written.length).toBe(3)
  for (const text of written) expect(text.startsWith('\r\x1b[2K')).toBe(true)
  for (const text of written) expect(text.length).toBeLessThan(60 + 5)
  expect(written.at(-1)).toBe('\r\x1b[2K')
})

test('a log sees one line a stage', () => {
  const { written, stream: log } = stream(false)
  const line = progressLine(log, false)
  for (const done of [0, 1, 2]) line.onProgress!({ stage: 'read', done, total: 2 })
  line.onProgress!({ stage: 'join', done: 1, total: 2 })
  line.end()
  expect(written.map((text) => text.split(' ')[0])).toEqual(['read', 'join'])
})

test('quiet is quiet', () => {
  const { written, stream: log } = stream(false)
  const line = progressLine(log, true)
  expect(line.onProgress).toBeUndefined()
  line.end()
  expect(written).toEqual([])
})
