import { expect, test } from 'vitest'
import { list, nearest, number, parseArguments, text } from '../../src/cli/arguments.ts'
import { nigh } from '../support/run.ts'

const flags = {
  k: { type: 'string', short: 'k', value: 'N', help: '' },
  metric: { type: 'string', help: '' },
  columns: { type: 'string', help: '' },
  quiet: { type: 'boolean', short: 'q', help: '' },
} as const
const parse = (...args: string[]) => parseArguments('join', args, flags)

test('values in every spelling', () => {
  for (const args of [['-k', '3'], ['-k3'], ['-k=3'], ['--k', '3'], ['--k=3']])
    expect(number(parse(...args), 'k')).toBe(3)
  expect(number(parse('-k', '-3'), 'k')).toBe(-3)
  expect(number(parse('--k', '-.5'), 'k')).toBe(-0.5)
  expect(list(parse('--columns', 'a, b,,c'), 'columns')).toEqual(['a', 'b', 'c'])
  expect(text(parse(), 'metric')).toBeUndefined()
  expect(parse('-', 'a', '--', '-b').positionals).toEqual(['-', 'a', '-b'])
})

test.each([
  [['-k'], /-k: needs a value \(N\)/],
  [['--metric', '--quiet'], /--quiet follows/],
  [['--metric='], /needs a value/],
  [['--quiet=yes'], /takes no value/],
  [['-k', '3', '-k', '4'], /given twice/],
  [['--matric', 'l2'], /Did you mean --metric\?/],
  [['--met', 'l2'], /Did you mean --metric\?/],
  [['--xyzzy'], /unknown option --xyzzy of nigh join\. See/],
  [['-x'], /unknown option -x/],
])('%o', (args, says) => {
  expect(() => parse(...args)).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(says) }))
})

test('the nearest name, if one is near', () => {
  expect(nearest('jion', ['join', 'inspect', 'eval'])).toBe('join')
  expect(nearest('evaluate', ['join', 'inspect', 'eval'])).toBeUndefined()
  expect(nearest('insp', ['join', 'inspect', 'eval'])).toBe('inspect')
})

test('help teaches, for nigh and for each command', () => {
  expect(nigh(['--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('nigh join QUERIES ITEMS --out OUT'),
  })
  for (const command of ['join', 'inspect', 'eval']) {
    const { code, stdout } = nigh([command, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('Examples:')
    expect(nigh(['help', command]).stdout).toBe(stdout)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(130)
  }
})

test('versions and commands', () => {
  expect(nigh(['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(nigh(['jion'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean join?') })
  expect(nigh(['join'])).toMatchObject({ code: 2, stderr: expect.stringContaining('error[USAGE]') })
})
