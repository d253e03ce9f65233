import { availableParallelism, tmpdir } from 'node:os'
import { invalidOption, NighError } from '../errors.ts'
import type { DistanceFunction, Metric } from '../native.ts'
import { DEFAULT_MEMORY, memoryBytes } from '../table/budget.ts'
import { isIndexed, type MetricAlias, metricOf } from './metric.ts'
import { type SavedPlan, savedPlan } from './saved-plan.ts'

/** What a kNN join can be asked. Each has a default; none is required. */
export interface JoinOptions {
  /** Neighbors of each query, 1 or more; fewer come back where there are fewer. Default 10. */
  k?: number | undefined
  /**
   * A metric by name (docs/guide.md), or a function of two vectors, smaller being nearer. Those that are not made of inner
   * products (`l1`, `canberra`, `bray-curtis`, `hamming`, `jaccard`, a function) are searched exactly. Default `l2`.
   */
  metric?: Metric | MetricAlias | DistanceFunction | undefined
  /** The fraction of the exact neighbors to find, above 0 and up to 1. Measured and reported. Default 0.95. */
  recall?: number | undefined
  /** Search exactly; not together with `recall`. */
  exact?: boolean | undefined
  /** Only neighbors at this distance or nearer. */
  maxDistance?: number | undefined
  /** In a self join, let a row be its own neighbor. */
  includeSelf?: boolean | undefined
  /** The id column of both sides. Default `id`; row numbers where a table has no such column. */
  idCol?: string | undefined
  /** The vector column of both sides. Default `vector`. */
  featuresCol?: string | undefined
  queryIdCol?: string | undefined
  itemIdCol?: string | undefined
  queryFeaturesCol?: string | undefined
  itemFeaturesCol?: string | undefined
  /** Item columns to carry into the neighbors. */
  columns?: readonly string[] | undefined
  /** Query columns to carry beside the query's id. */
  queryColumns?: readonly string[] | undefined
  /** `nested`: a row a query with a list of neighbors. `long`: a row a neighbor. Default `nested`. */
  layout?: 'nested' | 'long' | undefined
  /** What a null, ragged or non-finite vector does: `fail` the join, or `drop` the row. Default `fail`. */
  onInvalid?: 'fail' | 'drop' | undefined
  /** Where dropped rows go. */
  rejects?: string | undefined
  /** Threads to use. Default: as many as the machine runs at once. */
  threads?: number | undefined
  /** Seeds samples and clusters; the same seed gives the same bytes. Default 0. */
  seed?: number | undefined
  /** A plan to run again, from a report: nothing is chosen anew, and the same tables give the same bytes. */
  plan?: SavedPlan | { plan: SavedPlan } | undefined
  /** Memory to use: bytes, or `512MB`, `3GB`, `2GiB`, `70%` of what is free. What does not fit is spilled. Default `70%`. */
  memory?: number | string | undefined
  /** The directory of temporary files. Default: that of the system. */
  tmp?: string | undefined
  /** Replace an existing output: the same as mode overwrite. */
  force?: boolean | undefined
  /** What to do with an output that exists; `append` is for Delta tables. Default `error`. */
  mode?: 'error' | 'overwrite' | 'append' | undefined
}

/** `JoinOptions` checked, with defaults filled in. */
export interface JoinParams {
  k: number
  metric: Metric
  /** Of the metric `custom`. */
  distance: DistanceFunction | undefined
  /** 1 when exact. */
  recall: number
  exact: boolean
  maxDistance: number | undefined
  includeSelf: boolean
  query: SideParams
  item: SideParams
  layout: 'nested' | 'long'
  onInvalid: 'fail' | 'drop'
  rejects: string | undefined
  threads: number
  seed: number
  plan: SavedPlan | undefined
  /** Bytes. */
  memory: number
  tmp: string
  force: boolean
  mode: 'error' | 'overwrite' | 'append'
}

export interface SideParams {
  idCol: string | undefined
  featuresCol: string | undefined
  columns: string[]
}

export const DEFAULT_K = 10
export const DEFAULT_RECALL = 0.95
const MAX_K: number = 2 ** 31 - 1
const MAX_THREADS = 1024

const KNOWN: readonly (keyof JoinOptions)[] = [
  ...(['k', 'metric', 'recall', 'exact', 'maxDistance', 'includeSelf', 'idCol', 'featuresCol'] as const),
  ...(['queryIdCol', 'itemIdCol', 'queryFeaturesCol', 'itemFeaturesCol', 'columns', 'queryColumns'] as const),
  ...(['layout', 'onInvalid', 'rejects', 'threads', 'seed', 'plan', 'memory', 'tmp', 'force', 'mode'] as const),
]

/** Checks the options and fills in the defaults. Throws `INVALID_OPTION` with the parameter's name. */
export function joinParams(options: JoinOptions): JoinParams {
  for (const name of Object.keys(options)) {
    if (!(KNOWN as readonly string[]).includes(name)) throw invalidOption(name, 'no such option')
  }
  const plan = options.plan === undefined ? undefined : savedPlan(options.plan)
  const k = integer('k', options.k ?? plan?.k ?? DEFAULT_K, 1, MAX_K)
  const exact = flag('exact', options.exact) ?? plan?.method === 'exact'
  if (exact && options.recall !== undefined) {
    throw new NighError('INVALID_OPTION', 'recall: an exact join has recall 1; ask for recall or exact, not both')
  }
  const recall = exact ? 1 : number('recall', options.recall ?? plan?.recall ?? DEFAULT_RECALL)
  if (!(recall > 0 && recall <= 1)) throw invalidOption('recall', `must be above 0 and at most 1, not ${recall}`)
  const maxDistance = options.maxDistance === undefined ? undefined : number('maxDistance', options.maxDistance)
  if (maxDistance !== undefined && Number.isNaN(maxDistance)) throw invalidOption('maxDistance', 'must be a number')
  if (options.rejects !== undefined && options.onInvalid !== 'drop') {
    throw invalidOption('rejects', 'only together with onInvalid drop (--on-invalid drop)')
  }
  const force = flag('force', options.force) ?? false
  const mode = oneOf('mode', options.mode ?? (force ? 'overwrite' : 'error'), ['error', 'overwrite', 'append'])
  if (force && mode !== 'overwrite') throw invalidOption('mode', `${mode} clashes with force, which is to overwrite`)
  const { metric, distance } = metricOf(options.metric ?? plan?.metric ?? 'l2')
  // A recall of 1 can only be promised by an exact search, and some metrics have no other.
  const all = exact || recall === 1 || !isIndexed(metric)
  if (plan) sameAsPlan(plan, { k, metric, exact: all })
  return {
    k,
    metric,
    distance,
    recall: all ? 1 : recall,
    exact: all,
    maxDistance,
    includeSelf: flag('includeSelf', options.includeSelf) ?? false,
    query: side(
      options.queryIdCol ?? options.idCol,
      options.queryFeaturesCol ?? options.featuresCol,
      'queryColumns',
      options,
    ),
    item: side(options.itemIdCol ?? options.idCol, options.itemFeaturesCol ?? options.featuresCol, 'columns', options),
    layout: oneOf('layout', options.layout ?? 'nested', ['nested', 'long']),
    onInvalid: oneOf('onInvalid', options.onInvalid ?? 'fail', ['fail', 'drop']),
    rejects: options.rejects === undefined ? undefined : name('rejects', options.rejects),
    threads: integer('threads', options.threads ?? availableParallelism(), 1, MAX_THREADS),
    seed: integer('seed', options.seed ?? plan?.seed ?? 0, 0, Number.MAX_SAFE_INTEGER),
    plan,
    memory: memoryBytes(options.memory ?? DEFAULT_MEMORY),
    tmp: name('tmp', options.tmp ?? tmpdir()),
    force: mode === 'overwrite',
    mode,
  }
}

/** An option that contradicts the plan is a mistake. */
function sameAsPlan(plan: SavedPlan, asked: { k: number; metric: Metric; exact: boolean }): void {
  const saved = { k: plan.k, metric: plan.metric, exact: plan.method === 'exact' }
  for (const name of ['k', 'metric', 'exact'] as const) {
    if (saved[name] !== asked[name])
      throw invalidOption(name, `the plan was made for ${saved[name]}, not ${asked[name]}`)
  }
}

function side(
  idCol: string | undefined,
  featuresCol: string | undefined,
  columnsName: 'columns' | 'queryColumns',
  options: JoinOptions,
): SideParams {
  const columns = options[columnsName] ?? []
  if (!Array.isArray(columns)) throw invalidOption(columnsName, 'must be a list of column names')
  const repeated = columns.find((column, i) => columns.indexOf(column) !== i)
  if (repeated !== undefined) throw invalidOption(columnsName, `names ${JSON.stringify(repeated)} twice`)
  return {
    idCol: idCol === undefined ? undefined : name('idCol', idCol),
    featuresCol: featuresCol === undefined ? undefined : name('featuresCol', featuresCol),
    columns: columns.map((column) => name(columnsName, column)),
  }
}

function name(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalidOption(option, 'must be a name')
  return value
}

function number(option: string, value: unknown): number {
  if (typeof value !== 'number') throw invalidOption(option, `must be a number, not ${JSON.stringify(value)}`)
  return value
}

export function integer(option: string, value: unknown, min: number, max: number): number {
  const n = number(option, value)
  if (!Number.isInteger(n) || n < min || n > max) {
    const range = max >= MAX_K ? `of ${min} or more` : `from ${min} to ${max}`
    throw invalidOption(option, `must be a whole number ${range}, not ${n}`)
  }
  return n
}

function flag(option: string, value: unknown): boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') throw invalidOption(option, 'must be true or false')
  return value
}

function oneOf<T extends string>(option: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    throw invalidOption(
      option,
      `must be ${choices.join(', ').replace(/, (\w+)$/, ' or $1')}, not ${JSON.stringify(value)}`,
    )
  }
  return value
}
