import { StageClock } from '../engine/engine.ts'
import { planLocally } from '../engine/local/run.ts'
import type { ItemIndex } from '../indexes/item-index.ts'
import { explainPlan } from '../join/explain.ts'
import { type JoinOptions, type JoinParams, joinParams } from '../join/options.ts'
import type { Plan } from '../join/plan.ts'
import type { NativeTable } from '../native.ts'
import type { TableInput } from '../table/source.ts'
import type { JoinResult } from './join-result.ts'
import { checkOutputs, joinTables, type OutputOptions, readItems, readQueries } from './nearest-neighbors.ts'

export interface KnnJoinOptions extends JoinOptions, OutputOptions {}

/**
 * The k nearest items of each query. Exact, or at least at the recall asked for: measured on sampled queries, and reported.
 *
 * @throws NighError with a code of docs/errors.md
 */
export function knnJoin(queries: TableInput, items: TableInput, options: KnnJoinOptions = {}): Promise<JoinResult> {
  return withTables(queries, items, options, joinTables)
}

/** The k nearest other rows of each row. Rows with equal vectors are each other's neighbors. */
export function selfJoin(items: TableInput, options: KnnJoinOptions = {}): Promise<JoinResult> {
  return withTables(undefined, items, options, joinTables)
}

/** The plan of a join with its estimated time and memory, without running it. `queries` is `self` for a self join. */
export function explainJoin(
  queries: TableInput | { self: true },
  items: TableInput,
  options: KnnJoinOptions = {},
): Promise<{ plan: Plan; text: string }> {
  const asked = isSelf(queries) ? undefined : queries
  return withTables(asked, items, { ...options, to: undefined, rejects: undefined }, async (index, table, params) => {
    const plan = planLocally({ index, queries: table, params })
    return { plan, text: explainPlan(plan) }
  })
}

function isSelf(queries: TableInput | { self: true }): queries is { self: true } {
  return typeof queries === 'object' && 'self' in queries && queries.self === true
}

type Run<T> = (
  index: ItemIndex,
  queries: NativeTable | undefined,
  params: JoinParams,
  clock: StageClock,
  output: OutputOptions,
) => Promise<T>

async function withTables<T>(
  queries: TableInput | undefined,
  items: TableInput,
  { signal, onProgress, to, ...options }: KnnJoinOptions,
  run: Run<T>,
): Promise<T> {
  const params = joinParams(options)
  const output = { signal, onProgress, to }
  checkOutputs(to, params)
  const clock = new StageClock()
  const selfColumns = queries === undefined ? params.query.columns : []
  const index = await readItems(items, params, clock, output, selfColumns)
  let table: NativeTable | undefined
  try {
    table = queries === undefined ? undefined : await readQueries(queries, params, clock, output)
    return await run(index, table, params, clock, output)
  } finally {
    table?.dispose()
    index.dispose()
  }
}
