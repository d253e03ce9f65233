import type { ItemIndex } from '../../indexes/item-index.ts'
import { SAMPLE_ROWS } from '../../join/cost.ts'
import type { MemoryPlan } from '../../join/memory.ts'
import type { JoinParams } from '../../join/options.ts'
import { type Plan, planJoin } from '../../join/plan.ts'
import { CERTAIN, type RecallEstimate } from '../../join/statistics.ts'
import type { TuneStep } from '../../join/tuner.ts'
import { NeighborSink, type SinkOptions } from '../../merge/neighbor-sink.ts'
import { callNow, type NativeTable, type NativeWritten } from '../../native.ts'
import { type Ask, type Method, search } from '../../search/search.ts'
import type { EngineCall, StageClock } from '../engine.ts'
import type { LocalGraph } from './graph.ts'
import { planLists } from './lists.ts'
import type { UsualEffort } from './usual.ts'

/** A join whose tables are in native memory. */
export interface LocalJoin {
  index: ItemIndex
  /** Undefined in a self join. */
  queries: NativeTable | undefined
  params: JoinParams
  memory: MemoryPlan
  /** Settled before, on items in place of queries. */
  usual?: UsualEffort | undefined
}

export interface LocalOutcome {
  plan: Plan
  recall: RecallEstimate
  tuning: TuneStep[]
  written: NativeWritten
}

/** Rows of a graph's neighbors that are written together. */
const GRAPH_BLOCK_ROWS = 65_536

/** Plans a join of tables in memory. */
export function planLocally({ index, queries, params, memory, usual }: LocalJoin): Plan {
  const level = callNow((native) => native.cpu()).level
  const items = index.items.numRows
  const self = queries === undefined
  const { dim, numDistinct: distinct } = index.items
  const shape = { queries: queries?.numRows ?? items, items, dim, self, distinct }
  const ready = { numLists: index.clusters?.numLists, memory, sparse: index.items.isSparse }
  return planJoin(shape, params, level, usual ? { ...ready, effort: usual.effort, usual: true } : ready)
}

/** Runs a join: lists and their effort where the plan wants them, the search in blocks, the writing behind it. */
export async function runLocally(
  join: LocalJoin,
  sink: SinkOptions,
  clock: StageClock,
  call: EngineCall,
): Promise<LocalOutcome> {
  const { index, queries, params } = join
  const usual = queries && !params.plan ? join.usual : undefined
  let plan = planLocally({ ...join, usual })
  index.items.limitSpareBytes(join.memory.spareBytes)
  const { shape } = plan
  const ask: Ask = {
    queries,
    // Never more than there is: the neighbors of a small table stay small.
    k: Math.min(params.k, Math.max(1, shape.items)),
    maxDistance: params.maxDistance,
    includeSelf: params.includeSelf,
    threads: params.threads,
  }
  let recall = CERTAIN
  let tuning: TuneStep[] = []
  let graph: LocalGraph | undefined
  if (plan.method === 'cluster' && usual && shape.queries < SAMPLE_ROWS) {
    ;({ recall, steps: tuning } = usual)
  } else if (plan.method === 'cluster') {
    const lists = { index, plan, ask, clock, call, usual: usual?.effort }
    ;({ plan, recall, graph, steps: tuning } = await planLists(lists, params))
  }
  try {
    const written = await joinAndWrite(join, plan, graph, ask, sink, clock, call)
    return { plan, recall, tuning, written }
  } finally {
    graph?.dispose()
  }
}

async function joinAndWrite(
  { index, queries, memory }: LocalJoin,
  plan: Plan,
  graph: LocalGraph | undefined,
  ask: Ask,
  options: SinkOptions,
  clock: StageClock,
  call: EngineCall,
): Promise<NativeWritten> {
  const { signal } = call
  const total = plan.shape.queries
  const method: Method =
    plan.method === 'exact' ? { method: 'exact', precision: plan.precision! } : { method: 'cluster', ...plan.effort! }
  // A graph has its neighbors ready: small blocks do. A search is faster the more it answers at once.
  const blockRows = graph ? Math.min(memory.queryRows, GRAPH_BLOCK_ROWS) : memory.queryRows
  if (graph) {
    const onProgress = (progress: { done: number; total: number }) => call.onProgress?.({ stage: 'join', ...progress })
    // Rounds are over: what they took is free for vectors in a file, which are read all over now.
    const free = memory.budget - process.memoryUsage.rss()
    if (memory.way === 'spill') index.items.limitResidentBytes(Math.max(memory.residentBytes, 0.9 * free))
    await clock.time('join', () => graph.finish({ signal, onProgress }))
    if (memory.way === 'spill') index.items.limitResidentBytes(memory.residentBytes)
  }
  const sink = NeighborSink.create(index, queries, options)
  let writing: Promise<void> = Promise.resolve()
  try {
    for (let first = 0; first < total; first += blockRows) {
      const count = Math.min(blockRows, total - first)
      // Asking for all rows lets a self join answer equal rows once, in the order of the lists.
      const rows = count === total ? undefined : { first, count }
      const onProgress = ({ done, total: units }: { done: number; total: number }) =>
        call.onProgress?.({ stage: 'join', done: first + (units === 0 ? 0 : Math.min(1, done / units) * count), total })
      const neighbors = await clock.time('join', () =>
        graph
          ? graph.neighbors({ first, count }, { signal, onProgress })
          : search(index, { ...ask, rows }, method, { signal, onProgress }),
      )
      await clock.time('write', () => writing)
      const onWritten = ({ done }: { done: number }) => call.onProgress?.({ stage: 'write', done: first + done, total })
      // Only the last block reports its writing: the others are written while the search goes on.
      const last = first + count === total
      writing = sink
        .write(first, neighbors, { signal, ...(last ? { onProgress: onWritten } : {}) })
        .finally(() => neighbors.dispose())
      // It is awaited below or in the next round; until then its failure must not count as unhandled.
      writing.catch(() => {})
    }
    return await clock.time('write', async () => {
      await writing
      return sink.finish({ signal })
    })
  } finally {
    await writing.catch(() => {})
    sink.dispose()
  }
}
