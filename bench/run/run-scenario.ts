import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Options } from '../arguments.ts'
import type { Scenario } from '../definitions/scenario.ts'
import type { BenchRecord, CaseRecord } from '../record.ts'
import { type Case, type Data, startJudge } from './case.ts'
import type { Conversation } from './conversation.ts'
import { describeMachine } from './machine.ts'
import { bench, scratch, work } from './paths.ts'
import { python } from './python.ts'
import { runCase } from './run-case.ts'

/** Rows whose exact neighbors are known, and rows that a setting is tried with. */
const SAMPLE = 1000
const PROBE = 10_000
const SEED = 1

type Say = (line: string) => void

function prepare({ dataset, mode, numQueries }: Scenario, rows: number): Data {
  const script = join(bench, 'data', 'prepare.py')
  const made = spawnSync(python, [script, join(work, 'data'), dataset, `${rows}`], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPYCACHEPREFIX: join(work, 'pycache') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (made.status !== 0) throw new Error(made.stderr.trim().split('\n').at(-1) || 'the data could not be made')
  const data = JSON.parse(made.stdout) as Data
  if (mode === 'self') return { ...data, queries: null }
  if (!data.queries) throw new Error(`${dataset} has no queries`)
  return { ...data, queries: { ...data.queries, rows: Math.min(numQueries ?? data.queries.rows, data.queries.rows) } }
}

async function findTruth(judge: Conversation, { metric, k, mode }: Scenario, data: Data) {
  const { items, queries, sha256 } = data
  mkdirSync(join(work, 'truth'), { recursive: true })
  const name = [sha256, items.rows, mode, queries?.rows ?? 0, metric, k, SAMPLE, SEED].join('-')
  const out = join(work, 'truth', `${name}.npz`)
  const task = { op: 'truth', items, queries, k, metric, sample: SAMPLE, seed: SEED, probe: PROBE, out }
  const found = await judge.ask<{ seconds: number; sample: number; probe: string; probeRows: number }>(task)
  return { ...found, file: out }
}

/** Runs a scenario at its sizes, as far as the options want them; `save` gets the record after each case. */
export async function runScenario(
  defined: Scenario,
  options: Options,
  save: (record: BenchRecord) => void,
  say: Say,
): Promise<void> {
  const scenario = { ...defined, targets: options.targets ?? defined.targets }
  const { repeat, limitSeconds, clock } = options
  const record: BenchRecord = {
    format: 1,
    started: new Date().toISOString().slice(0, 16),
    scenario: scenario.name,
    about: scenario.about,
    metric: scenario.metric,
    k: scenario.k,
    mode: scenario.mode,
    counts: scenario.counts,
    compare: scenario.compare ?? 'engines',
    targets: scenario.targets,
    options: { limitSeconds, repeat, clock },
    machine: describeMachine(),
    cases: [],
  }
  const judge = startJudge()
  try {
    for (const given of cases(scenario, options, judge)) {
      const rows = given.rows
      let data: Data
      try {
        data = prepare(scenario, rows)
      } catch (error) {
        say(`${scenario.name}, ${rows} rows: ${(error as Error).message}`)
        continue
      }
      const truth = await findTruth(judge, scenario, data)
      const { threads, batch } = given
      const about = `${rows.toLocaleString('en')} x ${data.items.dim}, threads ${threads}${batch ? `, ${batch} at a time` : ''}`
      say(`${scenario.name}, ${about}`)
      const { file, probe, probeRows } = truth
      const full: Case = { scenario, data, threads, batch, limitSeconds, judge, truth: file, probe, probeRows }
      const engines = Object.keys(scenario.engines).filter((name) => options.engines?.includes(name) ?? true)
      const done: CaseRecord = {
        dataset: scenario.dataset,
        sha256: data.sha256,
        rows,
        dim: data.items.dim,
        numQueries: (data.queries ?? data.items).rows,
        threads,
        batch: batch ?? null,
        truth: { sample: truth.sample, seed: SEED, seconds: Number(truth.seconds.toFixed(1)) },
        engines: await runCase(full, { engines, repeat, clock, say }),
      }
      record.cases.push(done)
      save(record)
    }
  } finally {
    await judge.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

function* cases(scenario: Scenario, options: Options, judge: Conversation) {
  const sizes = options.rows ?? scenario.rows.filter((rows) => !options.quick || rows <= 100_000)
  const cores = availableParallelism()
  for (const rows of sizes) {
    for (const threads of new Set((options.threads ?? scenario.threads).map((n) => (n === 'all' ? cores : n)))) {
      for (const batch of scenario.batches ?? [undefined]) yield { rows, threads, batch, judge }
    }
  }
}
