// Command line arguments: node's parser, with errors that teach.
import { parseArgs } from 'node:util'
import { NighError } from '../errors.ts'

export interface Flag {
  type: 'string' | 'boolean'
  short?: string
  /** The value's name in the help. */
  value?: string
  help: string
  /** A heading of the help; flags of one group follow each other. */
  group?: string
}

export type Flags = Record<string, Flag>

export interface Parsed {
  values: Record<string, string | boolean | undefined>
  positionals: string[]
}

export function usageError(message: string): NighError {
  return new NighError('USAGE', message)
}

/** Parses what follows the command's name. Unknown options are refused with the nearest known one. */
export function parseArguments(command: string, args: readonly string[], flags: Flags): Parsed {
  // The parser takes a lone dash for a value only where an option asks for one; as a positional it is fine. Negative
  // numbers look like options to it: `-k -3` becomes `-k=-3`.
  const { tokens } = parseArgs({
    args: joinNegativeNumbers(args),
    options: parserOptions(flags),
    strict: false,
    tokens: true,
  })
  const values: Parsed['values'] = {}
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const flag = flags[token.name]
    if (!flag) throw unknownOption(command, token.rawName, flags)
    if (values[token.name] !== undefined) throw usageError(`${token.rawName}: given twice`)
    if (flag.type === 'boolean') {
      if (token.value !== undefined) throw usageError(`${token.rawName}: takes no value`)
      values[token.name] = true
    } else {
      // `-k=3` reaches us as `=3`.
      const value = token.rawName.startsWith('--') ? token.value : token.value?.replace(/^=/, '')
      if (value === undefined || value === '')
        throw usageError(`${token.rawName}: needs a value (${flag.value ?? 'VALUE'})`)
      if (!token.inlineValue && value.startsWith('-') && value !== '-') {
        throw usageError(`${token.rawName}: needs a value (${flag.value ?? 'VALUE'}), but ${value} follows`)
      }
      values[token.name] = value
    }
  }
  return { values, positionals }
}

function parserOptions(flags: Flags): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  const entries = Object.entries(flags).map(
    ([name, { type, short }]) => [name, short ? { type, short } : { type }] as const,
  )
  return Object.fromEntries(entries)
}

function joinNegativeNumbers(args: readonly string[]): string[] {
  const joined: string[] = []
  for (const arg of args) {
    const previous = joined.at(-1)
    if (/^-\.?\d/.test(arg) && previous !== undefined && /^--?[a-z-]+$/.test(previous)) {
      joined[joined.length - 1] = `${previous}=${arg}`
    } else joined.push(arg)
  }
  return joined
}

function unknownOption(command: string, raw: string, flags: Flags): NighError {
  const name = raw.replace(/^-+/, '')
  const near = nearest(name, Object.keys(flags))
  const hint = near ? ` Did you mean ${near.length === 1 ? '-' : '--'}${near}?` : ''
  return usageError(`unknown option ${raw} of nigh ${command}.${hint} See: nigh ${command} --help`)
}

/** The known name that is nearest to a mistyped one, if one is near at all. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = candidate.startsWith(name) && name.length > 1 ? 1 : editDistance(name, candidate)
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbors. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1]!
      let least = Math.min(above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1), above[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1)
      row.push(least)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

export function text(parsed: Parsed, name: string): string | undefined {
  const value = parsed.values[name]
  return typeof value === 'string' ? value : undefined
}

export function isSet(parsed: Parsed, name: string): boolean {
  return parsed.values[name] === true
}

export function number(parsed: Parsed, name: string): number | undefined {
  const value = text(parsed, name)
  if (value === undefined) return undefined
  const parsedNumber = Number(value)
  if (value.trim() === '' || Number.isNaN(parsedNumber)) {
    throw usageError(`${name.length === 1 ? '-' : '--'}${name}: must be a number, not ${JSON.stringify(value)}`)
  }
  return parsedNumber
}

export function list(parsed: Parsed, name: string): string[] | undefined {
  return text(parsed, name)
    ?.split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

type ColumnOption = 'idCol' | 'queryIdCol' | 'itemIdCol' | 'featuresCol' | 'queryFeaturesCol' | 'itemFeaturesCol'

/** The id and vector columns of a join's two sides. */
export function columnOptions(parsed: Parsed): Record<ColumnOption, string | undefined> {
  return {
    idCol: text(parsed, 'id'),
    queryIdCol: text(parsed, 'query-id'),
    itemIdCol: text(parsed, 'item-id'),
    featuresCol: text(parsed, 'vector'),
    queryFeaturesCol: text(parsed, 'query-vector'),
    itemFeaturesCol: text(parsed, 'item-vector'),
  }
}

const MODES = ['error', 'overwrite', 'append'] as const

/** What to do with an output that exists: `--mode`, or `--force`, which is to overwrite. Undefined where neither is there. */
export function outputMode(parsed: Parsed): (typeof MODES)[number] | undefined {
  const given = text(parsed, 'mode')
  const mode = MODES.find((one) => one === given)
  if (given !== undefined && !mode) throw usageError(`--mode ${given}: must be error, overwrite or append`)
  if (!isSet(parsed, 'force')) return mode
  if (mode && mode !== 'overwrite') throw usageError(`--mode ${mode} clashes with --force, which is to overwrite`)
  return 'overwrite'
}
