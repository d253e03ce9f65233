import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { help, type Options, parse } from './arguments.ts'
import { scenarios } from './definitions/index.ts'
import type { BenchRecord } from './record.ts'
import { writeReport } from './report/write.ts'
import { bench, record as recordFolder } from './run/paths.ts'
import { ensurePython, python } from './run/python.ts'
import { runScenario } from './run/run-scenario.ts'

const say = (line: string) => console.log(line)

function list(): void {
  for (const { name, about, rows, targets, threads, engines } of scenarios) {
    say(`${name}\n  ${about}`)
    const sizes = rows.map((n) => n.toLocaleString('en')).join(', ')
    say(`  rows ${sizes}; recall ${targets.join(', ')}; threads ${threads.join(', ')}`)
    say(`  ${Object.keys(engines).join(', ')}\n`)
  }
}

/** Times in the name would not tell two runs of a minute apart; the scenario's name does. */
const fileName = ({ started, scenario }: BenchRecord) => `${started.replaceAll(/[-:]/g, '')}-${scenario}.json`

async function run(options: Options): Promise<void> {
  const folder = options.out ?? recordFolder
  mkdirSync(folder, { recursive: true })
  for (const name of options.scenarios) {
    const scenario = scenarios.find((one) => one.name === name)!
    const save = (record: BenchRecord) =>
      writeFileSync(join(folder, fileName(record)), `${JSON.stringify(record, rounded, 1)}\n`)
    await runScenario(scenario, options, save, say)
  }
  say(writeReport(folder))
}

/** Six digits are more than a clock gives. */
const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value)

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2))
  if (options.action === 'help') say(help)
  else if (options.action === 'list') list()
  else if (options.action === 'report') say(writeReport(options.out ?? recordFolder))
  else {
    ensurePython(say)
    if (options.action === 'run') await run(options)
    else return spawnSync(python, ['-B', join(bench, 'judge', 'self_test.py')], { stdio: 'inherit' }).status ?? 1
  }
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}
