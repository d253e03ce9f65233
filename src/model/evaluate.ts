import { invalidOption } from '../errors.ts'
import { ItemIndex } from '../indexes/item-index.ts'
import { exactPrecision, SAMPLE_ROWS } from '../join/cost.ts'
import { isOfBits, type MetricAlias } from '../join/metric.ts'
import { integer, joinParams } from '../join/options.ts'
import { RowSampler } from '../join/sample.ts'
import { estimateRecall, type RecallEstimate } from '../join/statistics.ts'
import { type CallOptions, call, callNow, type Metric, type NativeTable } from '../native.ts'
import { search } from '../search/search.ts'
import { oneSource } from '../table/datasets.ts'
import { readVectors } from '../table/read.ts'
import type { TableInput } from '../table/source.ts'
import { requireSameVectors } from './join-tables.ts'

export interface EvaluateOptions extends CallOptions {
  /** Neighbors asked for. Default: as many as the result has at most. */
  k?: number | undefined
  /** The metric it was made with, by name. Default `l2`. */
  metric?: Metric | MetricAlias | undefined
  /** Query rows to sample. Default 1000. */
  sample?: number | undefined
  seed?: number | undefined
  maxDistance?: number | undefined
  includeSelf?: boolean | undefined
  idCol?: string | undefined
  featuresCol?: string | undefined
  queryIdCol?: string | undefined
  itemIdCol?: string | undefined
  queryFeaturesCol?: string | undefined
  itemFeaturesCol?: string | undefined
  threads?: number | undefined
}

/** How good a table of neighbors is. */
export interface Evaluation {
  recall: RecallEstimate
  k: number
  metric: Metric
  rows: { queries: number; items: number; result: number }
  /** Neighbors looked at, and what was wrong with them. */
  pairs: number
  /** Distances that are off by more than 1e-4 of the true ones. */
  wrongDistances: number
  missingDistances: number
  selfPairs: number
  repeatedPairs: number
  /** Queries that stand in the result more than once, and rows whose id an earlier row has: such an id means its first row. */
  repeatedQueries: number
  duplicateQueryIds: number
  duplicateItemIds: number
}

/**
 * Compares a table of neighbors, ours or another's, with the exact answer for a sample of its queries. Distances are computed
 * again from the ids. `queries` is undefined for the result of a self join.
 */
export async function evaluate(
  result: TableInput,
  queries: TableInput | undefined,
  items: TableInput,
  { k, sample, signal, onProgress: _, ...options }: EvaluateOptions = {},
): Promise<Evaluation> {
  const params = joinParams({ ...options, exact: true, ...(k === undefined ? {} : { k }) })
  if (params.distance) throw invalidOption('metric', 'a result of a function cannot be evaluated: name a metric')
  const size = integer('sample', sample ?? SAMPLE_ROWS, 1, 1e9)
  const { metric, threads, includeSelf, maxDistance, seed } = params
  const disposables: { dispose(): void }[] = []
  const held = <T extends { dispose(): void }>(value: T): T => {
    disposables.push(value)
    return value
  }
  const read = async (input: TableInput, side: 'item' | 'query') =>
    held(await readVectors(input, { ...params[side], bits: isOfBits(metric), columns: [], threads, side }, { signal }))
  try {
    const itemTable = await read(items, 'item')
    const queryTable: NativeTable | undefined = queries === undefined ? undefined : await read(queries, 'query')
    if (queryTable) requireSameVectors(queryTable, itemTable, metric)
    const source = await oneSource(result, 'result', signal)
    const found = held(await call((native, job) => native.readResult(source, itemTable, queryTable, job), { signal }))
    const index = held(await ItemIndex.create(itemTable, metric, threads, { signal }))
    const asked = k ?? Math.max(1, found.maxNeighbors)
    const positions = new RowSampler(found.numQueries, seed).take(Math.min(size, found.numQueries))
    const effectiveK = Math.min(asked, Math.max(1, itemTable.numRows))
    const claims = held(
      await call(() => found.claims(index.items, queryTable, positions, effectiveK, includeSelf), { signal }),
    )
    const { queryRows, ...judged } = claims.judged
    const shape = { queries: positions.length, items: itemTable.numRows, dim: itemTable.dim, self: !queryTable }
    const precision = exactPrecision(shape, effectiveK, callNow((native) => native.cpu()).level)
    const ask = { queries: queryTable, rows: queryRows, k: effectiveK, maxDistance, includeSelf, threads }
    const truth = held(await search(index, ask, { method: 'exact', precision }, { signal }))
    const neighbors = held(callNow(() => claims.neighbors()))
    const recalls = callNow((native) => native.recall(truth, neighbors))
    return {
      recall: estimateRecall(recalls, found.numQueries),
      k: asked,
      metric,
      rows: { queries: queryTable?.numRows ?? itemTable.numRows, items: itemTable.numRows, result: found.numQueries },
      ...judged,
      repeatedQueries: found.repeatedQueries,
      duplicateQueryIds: found.duplicateQueryIds,
      duplicateItemIds: found.duplicateItemIds,
    }
  } finally {
    for (const disposable of disposables.reverse()) disposable.dispose()
  }
}
