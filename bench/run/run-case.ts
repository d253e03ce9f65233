import { type Attempt, best, type Clock, describe, medianSeconds } from '../choose.ts'
import type { EngineRecord } from '../record.ts'
import type { Case } from './case.ts'
import type { Conversation } from './conversation.ts'
import { type BestSoFar, runAgain, runTrial } from './trial.ts'

export interface CaseOptions {
  engines: string[]
  repeat: number
  clock: Clock
  say: (line: string) => void
}

const key = (value: object) => JSON.stringify(value)

/** Every engine over its grid, then the best settings again, the engines taking turns. */
export async function runCase(given: Case, { engines, repeat, clock, say }: CaseOptions): Promise<EngineRecord[]> {
  const { scenario, data, threads } = given
  const { counts, targets, k } = scenario
  const shape = { rows: data.items.rows, dim: data.items.dim, threads, k, targets }
  const records = engines.map((engine): EngineRecord => ({ engine, attempts: [], probes: [], notes: [] }))
  for (const record of records) {
    const bestSoFar: BestSoFar = new Map()
    const staying: { process?: Conversation; inVain?: number } = {}
    for (const trial of scenario.engines[record.engine]!(shape)) {
      const start = performance.now()
      const known = record.attempts.length
      const noted = record.notes.length
      const more = await runTrial({ given, record, trial, clock, bestSoFar, staying })
      const took = ((performance.now() - start) / 1000).toFixed(1)
      const found = record.attempts.slice(known).map((attempt) => show(attempt, given, clock))
      const lines = [...found, ...record.notes.slice(noted)]
      if (lines.length === 0 && took !== '0.0') lines.push(`${describe(trial.build)}: nothing worth a whole run`)
      for (const line of lines) say(`  ${record.engine.padEnd(14)} ${line}  (${took} s)`)
      if (!more) break
    }
    await staying.process?.close()
  }
  for (let turn = 1; turn < repeat; turn++) {
    for (const record of records) {
      const chosen = new Set(
        scenario.compare === 'settings'
          ? record.attempts
          : targets.flatMap((target) => best(record.attempts, target, counts, clock) ?? []),
      )
      for (const build of new Set([...chosen].map((attempt) => key(attempt.build)))) {
        const group = [...chosen].filter((attempt) => key(attempt.build) === build)
        await again(given, record, group)
        for (const attempt of group) say(`  ${record.engine.padEnd(14)} again: ${show(attempt, given, clock)}`)
      }
    }
  }
  return records
}

async function again(given: Case, record: EngineRecord, group: Attempt[]): Promise<void> {
  try {
    const searches = group.map(({ search }) => search)
    const runs = await runAgain(given, record.engine, group[0]!.build, searches)
    group.forEach((attempt, i) => {
      attempt.runs.push(runs[i]!)
    })
  } catch (error) {
    record.notes.push(`again: ${(error as Error).message}`)
  }
}

function show(attempt: Attempt, { scenario }: Case, clock: Clock): string {
  const setting = describe({ ...attempt.build, ...attempt.search })
  const took = medianSeconds(attempt, scenario.counts, clock)
  return `${setting}: recall ${attempt.runs.at(-1)!.recall.toFixed(4)}, ${took.toPrecision(3)} s`
}
