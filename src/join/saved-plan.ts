// A plan that was saved, in a report or by itself, to be run again without choosing anew.
import { invalidOption } from '../errors.ts'
import type { Metric, Precision } from '../native.ts'
import type { Effort } from './cost.ts'
import { METRICS } from './metric.ts'

/** What of a plan decides the answer. A `Plan` is one. */
export interface SavedPlan {
  method: 'exact' | 'cluster'
  metric: Metric
  k: number
  recall: number
  seed: number
  precision?: Precision | undefined
  /** Lists asked for; with `cluster`. */
  lists?: number | undefined
  effort?: Effort | undefined
}

/** Takes a plan, or a report with one, apart. Throws `INVALID_OPTION` naming what is missing. */
export function savedPlan(value: unknown): SavedPlan {
  const outer = fieldsOf(value, 'the plan')
  const plan = 'plan' in outer ? fieldsOf(outer.plan, 'the plan') : outer
  const method = oneOf(plan, 'method', ['exact', 'cluster'])
  const saved: SavedPlan = {
    method,
    metric: oneOf<Metric>(plan, 'metric', [...METRICS, 'custom']),
    k: count(plan, 'k', 1),
    recall: fraction(plan, 'recall'),
    seed: count(plan, 'seed', 0),
  }
  if (method === 'exact') return { ...saved, precision: oneOf<Precision>(plan, 'precision', ['f32', 'int8']) }
  const effort = fieldsOf(plan.effort, 'effort')
  const numLists = count(effort, 'numLists', 1)
  const rounds = effort.rounds === undefined ? undefined : roundsOf(effort.rounds)
  return {
    ...saved,
    lists: plan.lists === undefined ? numLists : count(plan, 'lists', 1),
    effort: { numLists, nprobe: count(effort, 'nprobe', 1), rescore: count(effort, 'rescore', 1), rounds },
  }
}

type Fields = Record<string, unknown>

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null) throw invalidOption('plan', `${what} is not an object`)
  return value as Fields
}

function roundsOf(value: unknown): Effort['rounds'] {
  if (!Array.isArray(value)) throw invalidOption('plan', 'rounds must be a list')
  return value.map((round) => {
    const around = fieldsOf(round, 'a round')
    const nprobe = around.nprobe === undefined ? {} : { nprobe: count(around, 'nprobe', 1) }
    return { forward: count(around, 'forward', 1), reverse: count(around, 'reverse', 0), ...nprobe }
  })
}

function oneOf<T extends string>(fields: Fields, name: string, choices: readonly T[]): T {
  const value = choices.find((choice) => choice === fields[name])
  if (value === undefined) throw invalidOption('plan', `its ${name} must be one of ${choices.join(', ')}`)
  return value
}

function count(fields: Fields, name: string, min: number): number {
  const value = fields[name]
  if (!Number.isSafeInteger(value) || (value as number) < min) {
    throw invalidOption('plan', `its ${name} must be a whole number of ${min} or more`)
  }
  return value as number
}

function fraction(fields: Fields, name: string): number {
  const value = fields[name]
  if (typeof value !== 'number' || !(value > 0 && value <= 1)) {
    throw invalidOption('plan', `its ${name} must be above 0 and at most 1`)
  }
  return value
}
