import { parseArgs } from 'node:util'
import type { Clock } from './choose.ts'
import { scenarios } from './definitions/index.ts'

export interface Options {
  action: 'run' | 'list' | 'help' | 'report' | 'self-test'
  scenarios: string[]
  rows: number[] | undefined
  threads: (number | 'all')[] | undefined
  engines: string[] | undefined
  targets: number[] | undefined
  quick: boolean
  repeat: number
  limitSeconds: number
  clock: Clock
  out: string | undefined
}

export const help = `npm run bench -- SCENARIO... [options]

  --rows 10000,100000   sizes, of those the data can have
  --threads 1,all       threads to give everyone
  --engines a,b         of the scenario's engines
  --targets .9,.95      recalls to reach
  --quick               the sizes up to 100,000
  --repeat R            run the best settings R times in turns and take medians (1)
  --limit SECONDS       of each engine's process; what takes longer is recorded as over it (3600)
  --clock wall|cpu      the time that decides which setting is best (wall; cpu where other work shares the machine)
  --out FOLDER          where records go (bench/record)

npm run bench -- --list | --report | --self-test | --help

  --list                the scenarios
  --report              write results.md and report.html from the records that are there
  --self-test           the judge against brute force on tiny tables

Data, truth and the rivals' environment are made when first needed, under bench/.work. bench/METHODOLOGY.md says what counts.`

const list = (text: string | undefined) => text?.split(',').filter(Boolean)

function numbers(name: string, text: string | undefined, fits: (x: number) => boolean): number[] | undefined {
  const values = list(text)?.map(Number)
  const bad = values?.find((value) => !fits(value))
  if (bad !== undefined) throw new Error(`--${name} ${text}: not what it takes`)
  return values
}

const whole = (x: number) => Number.isInteger(x) && x > 0

/** Throws where an argument makes no sense. */
export function parse(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rows: { type: 'string' },
      threads: { type: 'string' },
      engines: { type: 'string' },
      targets: { type: 'string' },
      quick: { type: 'boolean', default: false },
      repeat: { type: 'string', default: '1' },
      limit: { type: 'string', default: '3600' },
      clock: { type: 'string', default: 'wall' },
      out: { type: 'string' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      report: { type: 'boolean' },
      'self-test': { type: 'boolean' },
    },
  })
  const { clock } = values
  if (clock !== 'wall' && clock !== 'cpu') throw new Error(`--clock ${clock}: wall or cpu`)
  const names = scenarios.map(({ name }) => name)
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown) throw new Error(`no scenario ${unknown}: there are ${names.join(', ')}`)
  const actions = (['help', 'list', 'report', 'self-test'] as const).filter((action) => values[action])
  return {
    action: actions[0] ?? (positionals.length > 0 ? 'run' : 'help'),
    scenarios: positionals,
    rows: numbers('rows', values.rows, whole),
    threads: list(values.threads)?.map((text) => (text === 'all' ? text : numbers('threads', text, whole)![0]!)),
    engines: list(values.engines),
    targets: numbers('targets', values.targets, (x) => x > 0 && x <= 1),
    quick: values.quick,
    repeat: numbers('repeat', values.repeat, whole)![0]!,
    limitSeconds: numbers('limit', values.limit, whole)![0]!,
    clock,
    out: values.out,
  }
}
