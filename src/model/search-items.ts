// Queries against the items of a model: each part by a plan of its own, and the candidates of all parts merged.
import type { EngineCall, StageClock } from '../engine/engine.ts'
import { type LocalOutcome, runLocally } from '../engine/local/run.ts'
import type { MemoryPlan } from '../join/memory.ts'
import { planJoin } from '../join/plan.ts'
import { CERTAIN } from '../join/statistics.ts'
import { NeighborSink, type NeighborTarget, type SinkOptions } from '../merge/neighbor-sink.ts'
import { call, callNow, type NativeCandidates, type NativeIdMatches, type NativeTable } from '../native.ts'
import type { KnnParams } from './knn-params.ts'
import type { ModelItems, Part } from './model-items.ts'

/** Queries whose neighbors are written together. */
const BLOCK_ROWS = 65_536

/** The k nearest items of each query, of those it sees, written to a sink. */
export async function searchItems(
  items: ModelItems,
  queries: NativeTable,
  params: KnnParams,
  memory: MemoryPlan,
  sink: SinkOptions,
  clock: StageClock,
  options: EngineCall,
): Promise<LocalOutcome> {
  const [only] = items.parts
  const { queryPartitionsCol, excludeSelf } = params
  if (items.parts.length === 1 && !excludeSelf && queryPartitionsCol === undefined) {
    return runLocally({ index: only!.index, queries, params, memory, usual: only!.usual }, sink, clock, options)
  }
  const { signal } = options
  const matches = excludeSelf ? await call((native) => native.matchIds(items.table, queries), { signal }) : undefined
  try {
    // As many more as have to be left out at most.
    const wanted = Math.min(params.k, Math.max(1, items.table.numRows))
    const k = Math.min(wanted + (matches?.most ?? 0), Math.max(1, items.table.numRows))
    const candidates = callNow((native) => native.createCandidates(queries.numRows, k))
    const outcomes: LocalOutcome[] = []
    for await (const asked of askedParts(items, queries, params)) {
      const table = asked.table ?? queries
      try {
        const into = collector(candidates, asked)
        const { index, usual } = asked.part
        const join = { index, queries: table, params: { ...params, k }, memory, usual }
        outcomes.push(await runLocally(join, { ...sink, path: undefined, into }, clock, options))
      } finally {
        asked.table?.dispose()
      }
    }
    const written = await writeMerged({ items, queries, candidates, matches, k: wanted }, sink, clock, options)
    return { ...combined(outcomes, { items, queries, params, memory }), written }
  } finally {
    matches?.dispose()
  }
}

/** The k nearest items of each item, of those in its own part, written to a sink in the order of the parts. */
export async function joinItems(
  items: ModelItems,
  params: KnnParams,
  memory: MemoryPlan,
  sink: SinkOptions,
  clock: StageClock,
  options: EngineCall,
): Promise<LocalOutcome> {
  const { groups, parts, table } = items
  if (!groups) return runLocally({ index: parts[0]!.index, queries: undefined, params, memory }, sink, clock, options)
  const k = Math.min(params.k, Math.max(1, table.numRows))
  const candidates = callNow((native) => native.createCandidates(table.numRows, k))
  const outcomes: LocalOutcome[] = []
  for (const part of parts) {
    const rows = Uint32Array.from({ length: part.count }, (_, i) => part.first + i)
    const into = collector(candidates, { part, rows })
    const join = { index: part.index, queries: undefined, params: { ...params, k }, memory }
    outcomes.push(await runLocally(join, { ...sink, path: undefined, into }, clock, options))
  }
  const merged = { items, queries: undefined, candidates, matches: undefined, k }
  const written = await writeMerged(merged, sink, clock, options)
  return { ...combined(outcomes, { items, queries: undefined, params, memory }), written }
}

interface Asked {
  part: Part
  /** The queries that see the part. */
  rows: Uint32Array
  /** Their table, unless all see it. */
  table: NativeTable | undefined
}

async function* askedParts(items: ModelItems, queries: NativeTable, params: KnnParams): AsyncIterable<Asked> {
  const { groups, parts } = items
  const column = params.queryPartitionsCol
  const seen = groups && column !== undefined ? callNow(() => groups.seenBy(queries, column)) : undefined
  const all = Uint32Array.from({ length: queries.numRows }, (_, row) => row)
  for (const [at, part] of parts.entries()) {
    const rows = seen ? seen.rows.subarray(seen.starts[at]!, seen.starts[at + 1]!) : all
    if (rows.length === 0) continue
    const every = rows.length === queries.numRows
    yield {
      part,
      rows,
      table: every ? undefined : await call((native) => native.takeRows(queries, undefined, rows), {}),
    }
  }
}

/** Takes the neighbors of one part in. */
function collector(candidates: NativeCandidates, { part, rows }: Pick<Asked, 'part' | 'rows'>): NeighborTarget {
  let neighbors = 0
  return {
    write(first, found) {
      neighbors += found.numQueries * found.k
      return candidates.add(found, rows.subarray(first, first + found.numQueries), part.first)
    },
    finish: () => ({ rows: rows.length, neighbors, sizeBytes: 0 }),
    dispose() {},
  }
}

interface Merged {
  items: ModelItems
  /** Undefined: the items themselves. */
  queries: NativeTable | undefined
  candidates: NativeCandidates
  matches: NativeIdMatches | undefined
  k: number
}

async function writeMerged(
  { items, queries, candidates, matches, k }: Merged,
  options: SinkOptions,
  clock: StageClock,
  { signal }: EngineCall,
): Promise<LocalOutcome['written']> {
  const sink = NeighborSink.create(items, queries, options)
  const { numRows } = queries ?? items.table
  try {
    return await clock.time('write', async () => {
      for (let first = 0; first < numRows; first += BLOCK_ROWS) {
        const count = Math.min(BLOCK_ROWS, numRows - first)
        const found = callNow(() => candidates.neighbors(first, count))
        const others = matches ? await call(() => matches.withoutOwn(first, found, k), { signal }) : found
        await sink.write(first, others, { signal })
        found.dispose()
        others.dispose()
      }
      return sink.finish({ signal })
    })
  } finally {
    sink.dispose()
  }
}

/** What is said of several parts: the plan of the largest, and the lowest recall. */
function combined(
  outcomes: readonly LocalOutcome[],
  { items, queries, params, memory }: Pick<Merged, 'items' | 'queries'> & { params: KnnParams; memory: MemoryPlan },
): Omit<LocalOutcome, 'written'> {
  const largest = outcomes.reduce<LocalOutcome | undefined>(
    (best, outcome) => (best && best.plan.shape.items >= outcome.plan.shape.items ? best : outcome),
    undefined,
  )
  const { numRows, dim } = items.table
  const shape = { queries: queries?.numRows ?? numRows, items: numRows, dim, self: queries === undefined }
  if (!largest) {
    const { level } = callNow((native) => native.cpu())
    const plan = planJoin(shape, { ...params, exact: true, recall: 1 }, level, { memory })
    return { plan, recall: CERTAIN, tuning: [] }
  }
  const lowest = outcomes.reduce((worst, outcome) => (outcome.recall.low < worst.recall.low ? outcome : worst))
  return { plan: { ...largest.plan, k: params.k, shape }, recall: lowest.recall, tuning: largest.tuning }
}
