// The best setting at a recall: pure, so that what a record claims can be tested.
import type { Params } from './definitions/scenario.ts'

/** What a build or a search took. */
export interface Cost {
  wall: number
  cpu: number
  peakBytes: number
  /** Of a build: what the index keeps of a row to compare, beside the vector itself. */
  codeBytes?: number
}

export interface SearchCost extends Cost {
  calls?: number
  /** nigh's own account of its stages, in seconds. */
  stages?: Record<string, number>
  plan?: Record<string, unknown>
}

export type Clock = 'wall' | 'cpu'
export type Counts = 'join' | 'search'

/** One complete run of a setting. */
export interface Run {
  build: Cost
  search: SearchCost
  recall: number
  standardError: number
}

/** A setting and its runs. */
export interface Attempt {
  build: Params
  search: Params
  runs: Run[]
}

/** A setting in words. */
export const describe = (setting: Params): string =>
  Object.entries(setting)
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
    .join(', ') || 'as it is'

export function seconds({ build, search }: { build: Cost; search: Cost }, counts: Counts, clock: Clock): number {
  return (counts === 'join' ? build[clock] : 0) + search[clock]
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const medianSeconds = (attempt: Attempt, counts: Counts, clock: Clock): number =>
  median(attempt.runs.map((run) => seconds(run, counts, clock)))

/** Reached by the median of its runs: the same rule for everyone. */
export const reaches = (attempt: Attempt, target: number): boolean =>
  attempt.runs.length > 0 && median(attempt.runs.map((run) => run.recall)) >= target

/** The attempt that reaches the target in the least time, of those that were run most often; undefined when none does. */
export function best(attempts: Attempt[], target: number, counts: Counts, clock: Clock): Attempt | undefined {
  const reaching = attempts.filter((attempt) => reaches(attempt, target))
  const most = Math.max(...reaching.map(({ runs }) => runs.length))
  return reaching
    .filter(({ runs }) => runs.length === most)
    .reduce<Attempt | undefined>(
      (a, b) => (a && medianSeconds(a, counts, clock) <= medianSeconds(b, counts, clock) ? a : b),
      undefined,
    )
}

/** The attempt that came nearest to a target that none reached. */
export function nearest(attempts: Attempt[]): Attempt | undefined {
  const recall = (attempt: Attempt) => median(attempt.runs.map((run) => run.recall))
  return attempts.reduce<Attempt | undefined>((a, b) => (a && recall(a) >= recall(b) ? a : b), undefined)
}

/** Points that no other beats in both recall and speed, by recall. */
export function frontier<T extends { recall: number; rate: number }>(points: T[]): T[] {
  let fastest = 0
  return [...points]
    .sort((a, b) => b.recall - a.recall || b.rate - a.rate)
    .filter(({ rate }) => {
      if (rate <= fastest) return false
      fastest = rate
      return true
    })
    .reverse()
}

/** The exponent b of y = a x^b, by least squares of the logarithms; undefined for fewer than two sizes. */
export function exponent(points: { x: number; y: number }[]): number | undefined {
  const at = points.map(({ x, y }) => [Math.log(x), Math.log(y)] as const)
  const mean = (i: 0 | 1) => at.reduce((sum, p) => sum + p[i], 0) / at.length
  const [mx, my] = [mean(0), mean(1)]
  const spread = at.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
  return spread > 0 ? at.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / spread : undefined
}
