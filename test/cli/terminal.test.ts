import { expect, test, vi } from 'vitest'
import { describeProgress, progressLine, rowsLine } from '../../src/cli/terminal.ts'

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

test('rows and bytes of a table on its way: nothing before two seconds, then ever more rarely', () => {
  let now = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
  const lines = (isTTY: boolean, total: number | undefined) => {
    const { written, stream: log } = stream(isTTY)
    now = 0
    const line = rowsLine(log, false, total)
    for (now = 500; now <= 10_000; now += 500) line.onProgress!({ rows: now * 100, bytesRead: now * 1000 })
    line.end()
    return written
  }
  expect(lines(false, undefined)).toEqual([
    'convert  200,000 rows, 2 MB read, 2.0 s\n',
    'convert  400,000 rows, 4 MB read, 4.0 s\n',
    'convert  800,000 rows, 8 MB read, 8.0 s\n',
  ])
  expect(lines(false, 1_000_000)[0]).toBe(
    'convert  200,000 of 1,000,000 rows (20 %), 100,000 rows/s, 8.0 s left, 2 MB read\n',
  )
  const redrawn = lines(true, undefined)
  expect(redrawn.length).toBe(18)
  expect(redrawn.at(-1)).toBe('\r\x1b[2K')
  expect(rowsLine(stream(true).stream, true, 1).onProgress).toBeUndefined()
  clock.mockRestore()
})
