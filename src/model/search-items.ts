// Queries against the items of a model: each part by a plan of its own, and the candidates of all parts merged. Answers go to
// their sink as they come, so that they may be larger than memory.
import type { EngineCall, StageClock } from '../engine/engine.ts'
import { type LocalOutcome, runLocally } from '../engine/local/run.ts'
import type { MemoryPlan } from '../join/memory.ts'
import { planJoin } from '../join/plan.ts'
import { CERTAIN } from '../join/statistics.ts'
import { NeighborSink, type NeighborTarget, type SinkOptions } from '../merge/neighbor-sink.ts'
import {
  call,
  callNow,
  type GroupedRows,
  type NativeCandidates,
  type NativeIdMatches,
  type NativeNeighbors,
  type NativeTable,
} from '../native.ts'
import type { KnnParams } from './knn-params.ts'
import type { ModelItems, Part } from './model-items.ts'

/** Queries whose neighbors are written together. */
const BLOCK_ROWS = 65_536
/** Fewer queries than this at once take longer for it. */
const LEAST_ROWS = 4096

type Searched = Omit<LocalOutcome, 'written'>

interface Search {
  items: ModelItems
  /** Undefined: the items themselves. */
  queries: NativeTable | undefined
  params: KnnParams
  memory: MemoryPlan
  clock: StageClock
  options: EngineCall
}

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
  const isOne = items.parts.length === 1 && queryPartitionsCol === undefined
  if (isOne && !excludeSelf) {
    return runLocally({ index: only!.index, queries, params, memory, usual: only!.usual }, sink, clock, options)
  }
  const { signal } = options
  const matches = excludeSelf ? await call((native) => native.matchIds(items.table, queries), { signal }) : undefined
  const most = Math.max(1, items.table.numRows)
  const k = Math.min(params.k, most)
  // As many more as have to be left out at most.
  const wanted = Math.min(k + (matches?.most ?? 0), most)
  const search: Search = { items, queries, params: { ...params, k: wanted }, memory, clock, options }
  const written = async (target: NeighborSink): Promise<Searched[]> =>
    isOne ? [await alone(search, target, matches!, k)] : partByPart(search, target, matches, k)
  return intoSink(search, sink, k, written).finally(() => matches?.dispose())
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
  const search: Search = { items, queries: undefined, params: { ...params, k }, memory, clock, options }
  return intoSink(search, sink, k, async (target) => {
    const outcomes: Searched[] = []
    for (const part of parts) {
      const into = passingOn(target, part.first, options, (_, found) => numberedFrom(part.first, found, k, options))
      outcomes.push(await runPart(search, part, undefined, into))
    }
    return outcomes
  })
}

/** Opens the sink, has it written to, and tells what was done. */
async function intoSink(
  search: Search,
  sink: SinkOptions,
  k: number,
  write: (target: NeighborSink) => Promise<Searched[]>,
): Promise<LocalOutcome> {
  const { items, queries, clock, options } = search
  const target = NeighborSink.create(items, queries, sink)
  try {
    const outcomes = await write(target)
    const { signal } = options
    return { ...combined(outcomes, search, k), written: await clock.time('write', () => target.finish({ signal })) }
  } finally {
    target.dispose()
  }
}

function runPart(
  { params, memory, clock, options }: Search,
  { index, usual }: Part,
  queries: NativeTable | undefined,
  into: NeighborTarget,
): Promise<LocalOutcome> {
  const sink = { layout: 'nested', columns: [], queryColumns: [], force: false, mode: 'error', into } as const
  return runLocally({ index, queries, params, memory, usual: queries && usual }, sink, clock, options)
}

/** All items in one part: without the query's own. */
function alone(search: Search, target: NeighborSink, matches: NativeIdMatches, k: number): Promise<Searched> {
  const { items, queries, options } = search
  const { signal } = options
  const into = passingOn(target, 0, options, (first, found) =>
    call(() => matches.withoutOwn(first, found, k), { signal }),
  )
  return runPart(search, items.parts[0]!, queries, into)
}

/** As many queries at a time as memory has room for the candidates of. */
async function partByPart(
  search: Search,
  target: NeighborSink,
  matches: NativeIdMatches | undefined,
  k: number,
): Promise<Searched[]> {
  const { items, params, memory } = search
  const queries = search.queries!
  const { groups, parts } = items
  const column = params.queryPartitionsCol
  const seen = groups && column !== undefined ? callNow(() => groups.seenBy(queries, column)) : undefined
  // Of each query its vector and its neighbors: of a part, of all parts twice, and on their way out.
  const room = Math.floor(memory.budget / 4 / (queries.rowBytes + 4 * (8 * params.k + 4)))
  const rows = Math.max(LEAST_ROWS, room)
  const outcomes: Searched[] = []
  for (let first = 0; first < queries.numRows; first += rows) {
    const count = Math.min(rows, queries.numRows - first)
    const candidates = callNow((native) => native.createCandidates(count, params.k))
    try {
      for (const [at, part] of parts.entries()) {
        const asking = askingRows(seen, at, first, count)
        if (asking.length > 0) outcomes.push(await collect(search, part, asking, first, candidates))
      }
      await writeMerged(search, target, candidates, { first, count, k }, matches)
    } finally {
      candidates.dispose()
    }
  }
  return outcomes
}

/** The queries `first .. first + count` that see a part. */
function askingRows(seen: GroupedRows | undefined, part: number, first: number, count: number): Uint32Array {
  if (!seen) return Uint32Array.from({ length: count }, (_, i) => first + i)
  const rows = seen.rows.subarray(seen.starts[part]!, seen.starts[part + 1]!)
  return rows.filter((row) => row >= first && row < first + count)
}

/** What a part has for some queries, to the candidates of those from `first` on. */
async function collect(
  search: Search,
  part: Part,
  rows: Uint32Array,
  first: number,
  candidates: NativeCandidates,
): Promise<Searched> {
  const queries = search.queries!
  const isAll = rows.length === queries.numRows
  const table = isAll ? queries : await call((native) => native.takeRows(queries, undefined, rows), {})
  try {
    const places = rows.map((row) => row - first)
    const into = counting((at, found) => candidates.add(found, places.subarray(at, at + found.numQueries), part.first))
    return await runPart(search, part, table, into)
  } finally {
    if (!isAll) table.dispose()
  }
}

async function writeMerged(
  { clock, options: { signal } }: Search,
  target: NeighborSink,
  candidates: NativeCandidates,
  { first, count, k }: { first: number; count: number; k: number },
  matches: NativeIdMatches | undefined,
): Promise<void> {
  await clock.time('write', async () => {
    for (let at = 0; at < count; at += BLOCK_ROWS) {
      const found = callNow(() => candidates.neighbors(at, Math.min(BLOCK_ROWS, count - at)))
      const others = matches ? await call(() => matches.withoutOwn(first + at, found, k), { signal }) : found
      await target.write(first + at, others, { signal })
      found.dispose()
      others.dispose()
    }
  })
}

/** Neighbors whose rows count from that of a part. */
async function numberedFrom(
  part: number,
  found: NativeNeighbors,
  k: number,
  { signal }: EngineCall,
): Promise<NativeNeighbors> {
  const { numQueries } = found
  const candidates = callNow((native) => native.createCandidates(numQueries, k))
  try {
    await call(
      () =>
        candidates.add(
          found,
          Uint32Array.from({ length: numQueries }, (_, i) => i),
          part,
        ),
      { signal },
    )
    return callNow(() => candidates.neighbors(0, numQueries))
  } finally {
    candidates.dispose()
  }
}

/** Passes blocks of neighbors on, changed, to a sink where the first query is row `offset`. */
function passingOn(
  target: NeighborSink,
  offset: number,
  { signal }: EngineCall,
  change: (first: number, found: NativeNeighbors) => Promise<NativeNeighbors>,
): NeighborTarget {
  return counting(async (first, found) => {
    const changed = await change(first, found)
    await target.write(offset + first, changed, { signal }).finally(() => changed.dispose())
  })
}

/** A target that counts what it is given. */
function counting(write: (first: number, found: NativeNeighbors) => Promise<void>): NeighborTarget {
  const counted = { rows: 0, neighbors: 0, sizeBytes: 0 }
  return {
    write(first, found) {
      counted.rows += found.numQueries
      counted.neighbors += found.numQueries * found.k
      return write(first, found)
    },
    finish: () => counted,
    dispose() {},
  }
}

/** What is said of several parts: the plan of the largest, and the lowest recall. */
function combined(outcomes: readonly Searched[], { items, queries, params, memory }: Search, k: number): Searched {
  const largest = outcomes.reduce<Searched | undefined>(
    (best, outcome) => (best && best.plan.shape.items >= outcome.plan.shape.items ? best : outcome),
    undefined,
  )
  const { numRows, dim } = items.table
  const shape = { queries: queries?.numRows ?? numRows, items: numRows, dim, self: queries === undefined }
  if (!largest) {
    const { level } = callNow((native) => native.cpu())
    const plan = planJoin(shape, { ...params, k, exact: true, recall: 1 }, level, { memory })
    return { plan, recall: CERTAIN, tuning: [] }
  }
  const lowest = outcomes.reduce((worst, outcome) => (outcome.recall.low < worst.recall.low ? outcome : worst))
  return { plan: { ...largest.plan, k, shape }, recall: lowest.recall, tuning: largest.tuning }
}
