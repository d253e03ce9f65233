import { type Cost, describe, type Run, reaches, seconds } from '../choose.ts'
import type { Params, Trial } from '../definitions/scenario.ts'
import { programs } from '../engines/programs.ts'
import type { EngineRecord } from '../record.ts'
import { type Case, searchOnce, startEngine } from './case.ts'
import type { Conversation } from './conversation.ts'

/** A whole run is made unless its probe says that it would take this much longer than the best so far. */
const HOPELESS = 1.25

/** Least total seconds so far at each target. */
export type BestSoFar = Map<number, number>

interface Trying {
  given: Case
  record: EngineRecord
  trial: Trial
  clock: 'wall' | 'cpu'
  bestSoFar: BestSoFar
  /** What an engine keeps from trial to trial: its process, where that stays, and how many of its last builds were in vain. */
  staying: { process?: Conversation; inVain?: number }
}

/** Grids go from cheap builds to dear ones, though not in every step: so many in a row in vain, and the rest would be. */
const IN_VAIN = 2

/** nigh's recall asked is of use to a target that no run has reached yet. */
function asked({ given, record }: Trying, setting: Params): boolean {
  const { recall } = setting
  if (typeof recall !== 'number' || given.scenario.compare === 'settings') return true
  const open = given.scenario.targets.filter((target) => !record.attempts.some((attempt) => reaches(attempt, target)))
  return open.some((target) => recall >= target - 1e-6 && recall <= target + 0.02 + 1e-6)
}

function keep({ given, record, trial, clock, bestSoFar }: Trying, search: Params, run: Run): void {
  record.attempts.push({ build: trial.build, search, runs: [run] })
  for (const target of given.scenario.targets) {
    if (run.recall < target) continue
    const total = seconds(run, given.scenario.counts, clock)
    bestSoFar.set(target, Math.min(total, bestSoFar.get(target) ?? Number.POSITIVE_INFINITY))
  }
}

/** Each setting is a whole run. */
async function wholeRuns(trying: Trying, engine: Conversation, build: Cost): Promise<void> {
  const { given, record, trial } = trying
  for (const search of trial.searches.flat()) {
    if (!asked(trying, { ...trial.build, ...search })) continue
    try {
      keep(trying, search, { build, ...(await searchOnce(engine, given, search, null)) })
    } catch (error) {
      record.notes.push(`${describe(search)}: ${(error as Error).message}`)
      if ((error as { over?: boolean }).over) return
    }
  }
}

/** Settings are tried with a part of the rows; the fastest that reaches a target is run with all of them. */
async function probesThenRuns(trying: Trying, engine: Conversation, build: Cost): Promise<void> {
  const { given, record, trial, clock, bestSoFar } = trying
  const { scenario, probeRows, data } = given
  const { counts, targets, curveTo = 0 } = scenario
  const total = (data.queries ?? data.items).rows
  const buildSeconds = build[clock]
  const probed: { search: Params; run: Run; expected: number }[] = []
  for (const row of trial.searches) {
    for (const search of row) {
      const run = { build, ...(await searchOnce(engine, given, search, given.probe)) }
      const searchSeconds = (run.search[clock] * total) / probeRows
      probed.push({ search, run, expected: searchSeconds + (counts === 'join' ? buildSeconds : 0) })
      record.probes.push({ build: trial.build, search, recall: run.recall, buildSeconds, searchSeconds })
      if (run.recall >= Math.max(...targets, curveTo)) break
    }
  }
  const wanted = new Set<(typeof probed)[number]>()
  for (const target of targets) {
    const reaching = probed.filter(({ run }) => run.recall >= target)
    const [fastest] = reaching.sort((a, b) => a.expected - b.expected)
    if (fastest && fastest.expected <= HOPELESS * (bestSoFar.get(target) ?? Number.POSITIVE_INFINITY))
      wanted.add(fastest)
  }
  for (const { search, run } of wanted) {
    // A probe with all rows in it was a whole run.
    const complete = probeRows === total ? run : { build, ...(await searchOnce(engine, given, search, null)) }
    keep(trying, search, complete)
  }
}

/** One build and what its searches find; a failure is noted in the record. Whether further trials of the engine make sense. */
export async function runTrial(trying: Trying): Promise<boolean> {
  const { given, record, trial, clock, bestSoFar } = trying
  const { engine } = record
  const { scenario } = given
  const whole = programs[engine]!.whole === true
  if (whole && !trial.searches.flat().some((search) => asked(trying, { ...trial.build, ...search }))) return true
  const { stays } = programs[engine]!
  let process: Conversation
  try {
    process = trying.staying.process?.alive ? trying.staying.process : await startEngine(engine, given)
    process.limit(given.limitSeconds)
    if (stays) trying.staying.process = process
  } catch (error) {
    record.notes.push(`unavailable: ${(error as Error).message}`)
    return false
  }
  const at = describe(trial.build)
  try {
    const build = await process.ask<Cost>({ op: 'build', params: trial.build })
    const slowest = Math.max(...scenario.targets.map((target) => bestSoFar.get(target) ?? Number.POSITIVE_INFINITY))
    if (scenario.counts === 'join' && build[clock] > HOPELESS * slowest) {
      record.notes.push(`${at}: building alone took ${build[clock].toFixed(1)} s, more than the best whole run`)
      trying.staying.inVain = (trying.staying.inVain ?? 0) + 1
      return trying.staying.inVain < IN_VAIN
    }
    trying.staying.inVain = 0
    await (whole ? wholeRuns : probesThenRuns)(trying, process, build)
    return true
  } catch (error) {
    record.notes.push(`${at}: ${(error as Error).message}`)
    return !(error as { over?: boolean }).over
  } finally {
    if (!stays) await process.close()
  }
}

/** Runs an attempt's setting once more. */
export async function runAgain(given: Case, engine: string, build: Params, searches: Params[]): Promise<Run[]> {
  const process = await startEngine(engine, given)
  try {
    const cost = await process.ask<Cost>({ op: 'build', params: build })
    const runs: Run[] = []
    for (const search of searches) runs.push({ build: cost, ...(await searchOnce(process, given, search, null)) })
    return runs
  } finally {
    await process.close()
  }
}
