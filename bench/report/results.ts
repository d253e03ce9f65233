// What records say, worked out: the best of each engine at each recall. Pure.
import { type Attempt, best, describe, exponent, median, nearest, seconds } from '../choose.ts'
import type { BenchRecord, CaseRecord, EngineRecord } from '../record.ts'

/** One line of a table. */
export interface Line {
  engine: string
  setting: string
  /** Why there is no time. */
  missing?: string
  recall?: number
  standardError?: number
  build?: number
  search?: number
  /** What counts: median, least and most of the runs. */
  total?: { median: number; least: number; most: number; runs: number }
  peakBytes?: number
  /** Bytes of a row's codes. */
  codeBytes?: number | undefined
  /** Total over nigh's. */
  ratio?: number
}

/** One table: a case at a target. */
export interface Result {
  record: BenchRecord
  given: CaseRecord
  target: number
  lines: Line[]
}

/** Each case of each scenario once: engine by engine the newest that any record has of the same table and machine. */
export function merge(records: BenchRecord[]): { record: BenchRecord; given: CaseRecord }[] {
  const known = new Map<string, { record: BenchRecord; given: CaseRecord }>()
  for (const record of [...records].sort((a, b) => (a.started < b.started ? -1 : 1))) {
    for (const given of record.cases) {
      const { sha256, rows, threads, batch, numQueries } = given
      // Two generations of a processor may have one name.
      const { cpu, cores, features } = record.machine
      const key = [record.scenario, sha256, rows, threads, batch, numQueries, cpu, cores, ...features].join()
      const kept = known
        .get(key)
        ?.given.engines.filter((old) => !given.engines.some((one) => one.engine === old.engine))
      known.set(key, { record, given: { ...given, engines: sorted([...given.engines, ...(kept ?? [])]) } })
    }
  }
  return [...known.values()]
}

const ours = (engine: string) => engine.startsWith('nigh')
const sorted = (engines: EngineRecord[]) => engines.sort((a, b) => Number(ours(b.engine)) - Number(ours(a.engine)))

function line(engine: string, attempt: Attempt, { counts, options: { clock } }: BenchRecord): Line {
  const { runs } = attempt
  const totals = runs.map((run) => seconds(run, counts, clock))
  const most = (values: number[]) => Math.max(...values)
  return {
    engine,
    setting: describe({ ...attempt.build, ...attempt.search }),
    recall: median(runs.map((run) => run.recall)),
    standardError: runs[0]!.standardError,
    build: median(runs.map((run) => run.build[clock])),
    search: median(runs.map((run) => run.search[clock])),
    total: { median: median(totals), least: Math.min(...totals), most: most(totals), runs: runs.length },
    codeBytes: runs[0]!.build.codeBytes,
    peakBytes: most(runs.map((run) => Math.max(run.build.peakBytes, run.search.peakBytes))),
  }
}

function missing({ engine, attempts, probes, notes }: EngineRecord): Line {
  const ran = nearest(attempts)?.runs.map((run) => run.recall) ?? []
  const close = Math.max(0, ...ran, ...probes.map((probe) => probe.recall))
  const reached = close > 0 ? `not reached: ${close.toFixed(3)} at most` : undefined
  return { engine, setting: '', missing: reached ?? notes.at(-1) ?? 'not run' }
}

/** The tables of merged records. */
export function results(records: BenchRecord[]): Result[] {
  return merge(records).flatMap(({ record, given }) =>
    record.targets.map((target): Result => {
      const { counts, compare, options } = record
      const lines = given.engines.flatMap((one) => {
        const failed = one.notes.map((missing): Line => ({ engine: one.engine, setting: '', missing }))
        if (compare === 'settings') return [...one.attempts.map((a) => line(one.engine, a, record)), ...failed]
        const chosen = best(one.attempts, target, counts, options.clock)
        return [chosen ? line(one.engine, chosen, record) : missing(one)]
      })
      const base = lines.find((one) => ours(one.engine) && one.total)?.total?.median
      const compared = lines.map((one) => (base && one.total ? { ...one, ratio: one.total.median / base } : one))
      return { record, given, target, lines: compared }
    }),
  )
}

/** How time grows with rows: the exponent for each engine that has two sizes. */
export function growth(group: Result[]): { engine: string; exponent: number; sizes: number }[] {
  const engines = new Set(group.flatMap(({ lines }) => lines.map(({ engine }) => engine)))
  return [...engines].flatMap((engine) => {
    const points = group.flatMap(({ given, lines }) => {
      const total = lines.find((one) => one.engine === engine)?.total
      return total ? [{ x: given.rows, y: total.median }] : []
    })
    const power = exponent(points)
    return power === undefined ? [] : [{ engine, exponent: power, sizes: points.length }]
  })
}
