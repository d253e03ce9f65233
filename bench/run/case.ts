import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Run, SearchCost } from '../choose.ts'
import type { Params, Scenario } from '../definitions/scenario.ts'
import { programs } from '../engines/programs.ts'
import { Conversation } from './conversation.ts'
import { bench, root, scratch, work } from './paths.ts'
import { pinned, threadEnvironment } from './pin.ts'
import { python } from './python.ts'

export interface Side {
  npy: string
  parquet: string
  rows: number
  dim: number
}

export interface Data {
  items: Side
  queries: Side | null
  sha256: string
}

/** What every engine of a case is given. */
export interface Case {
  scenario: Scenario
  data: Data
  threads: number
  batch: number | undefined
  limitSeconds: number
  judge: Conversation
  truth: string
  /** Query rows to try a setting with, and their number. */
  probe: string
  probeRows: number
}

const environment = { PYTHONPYCACHEPREFIX: join(work, 'pycache') }

/** The judge, for as long as a scenario runs. */
export const startJudge = (): Conversation => new Conversation(python, [join(bench, 'judge', 'judge.py')], environment)

/** An engine's process with the tables loaded; nothing of it is timed. */
export async function startEngine(engine: string, given: Case): Promise<Conversation> {
  const { file } = programs[engine]!
  const { data, scenario, threads, batch } = given
  const command = file.endsWith('.js')
    ? [process.execPath, join(root, '.build', 'bench', 'engines', file)]
    : [python, join(bench, 'engines', file)]
  const [program, args] = pinned(command[0]!, [command[1]!], threads)
  const env = { ...environment, ...threadEnvironment(threads) }
  const conversation = new Conversation(program, args, env)
  conversation.limit(given.limitSeconds)
  mkdirSync(scratch, { recursive: true })
  const { k, metric } = scenario
  try {
    await conversation.ask({ op: 'load', ...data, k, metric, threads, batch: batch ?? null, work: scratch })
  } catch (error) {
    await conversation.close()
    throw error
  }
  return conversation
}

/** Searches with the rows of a file, or all, and has the judge look at the answer. */
export async function searchOnce(
  engine: Conversation,
  given: Case,
  params: Params,
  rows: string | null,
): Promise<Omit<Run, 'build'>> {
  const found = join(scratch, 'found.npy')
  const search = await engine.ask<SearchCost>({ op: 'search', params, rows, out: found })
  const { data, scenario, truth } = given
  const { metric } = scenario
  const judged = await given.judge.ask<{ recall: number; standardError: number }>({
    ...{ op: 'score', items: data.items, queries: data.queries },
    ...{ metric, truth, found, rows },
  })
  return { search, ...judged }
}
