// A join whose items do not fit into memory: they come in blocks, each indexed in turn, and all queries meet each block. The
// best neighbors so far of each query wait in a temporary file between two blocks.
import { ItemIndex } from '../../indexes/item-index.ts'
import { exactPrecision, SAMPLE_ROWS } from '../../join/cost.ts'
import type { MemoryPlan } from '../../join/memory.ts'
import type { JoinParams } from '../../join/options.ts'
import { type Plan, planJoin } from '../../join/plan.ts'
import { RowSampler } from '../../join/sample.ts'
import { CERTAIN, estimateRecall, type RecallEstimate } from '../../join/statistics.ts'
import type { TuneStep } from '../../join/tuner.ts'
import { NeighborSink, type SinkOptions } from '../../merge/neighbor-sink.ts'
import {
  addon,
  call,
  callNow,
  type NativeKept,
  type NativeNeighbors,
  type NativeTable,
  type RowRange,
} from '../../native.ts'
import { type Ask, type Method, search } from '../../search/search.ts'
import type { EngineCall, StageClock } from '../engine.ts'
import { planLists } from './lists.ts'
import type { LocalOutcome } from './run.ts'

/** Tables whose vectors are in temporary files. */
export interface BlockJoin {
  items: NativeTable
  /** Undefined in a self join. */
  queries: NativeTable | undefined
  params: JoinParams
  memory: MemoryPlan
}

/** A sample that misses the recall: the part of what may be missed that the next try may miss. */
const STRICTER = 0.5
const TRIES = 3

/**
 * Runs the join. The lists of each block are tuned for the recall among the block's own k nearest; the merged neighbors are
 * the nearest of those, and their recall is measured across all blocks before the last block writes the result.
 */
export async function runInBlocks(
  join: BlockJoin,
  sink: SinkOptions,
  clock: StageClock,
  call: EngineCall,
): Promise<LocalOutcome> {
  // A saved plan tells of the whole table: every block has a plan of its own.
  const params = { ...join.params, plan: undefined }
  let asked: JoinParams = params
  for (let attempt = 1; ; attempt++) {
    const run = new BlockRun({ ...join, params: asked }, params.recall, clock, call)
    const outcome = await run.run(sink, params.seed + attempt)
    if (outcome) return outcome
    const stricter = { ...params, recall: 1 - (1 - asked.recall) * STRICTER }
    asked = attempt + 1 < TRIES ? stricter : { ...params, recall: 1, exact: true }
  }
}

/** One pass over all blocks. */
class BlockRun {
  readonly #join: BlockJoin
  /** The recall that the result must have. */
  readonly #target: number
  readonly #clock: StageClock
  readonly #call: EngineCall
  readonly #numQueries: number
  readonly #ask: Ask
  readonly #tuning: TuneStep[] = []
  #plan: Plan | undefined

  constructor(join: BlockJoin, target: number, clock: StageClock, call: EngineCall) {
    const { items, queries, params } = join
    this.#join = join
    this.#target = target
    this.#clock = clock
    this.#call = call
    this.#numQueries = (queries ?? items).numRows
    const k = Math.min(params.k, Math.max(1, items.numRows))
    // A row of the items meets itself in its block: one more neighbor is looked for, and the row left out afterwards.
    const wanted = k + (this.#leavesOut ? 1 : 0)
    const { maxDistance, threads } = params
    this.#ask = { queries: queries ?? items, k: wanted, maxDistance, includeSelf: true, threads }
  }

  get #leavesOut(): boolean {
    return this.#join.queries === undefined && !this.#join.params.includeSelf
  }

  /** Undefined where the sample misses the recall. */
  async run(options: SinkOptions, sampleSeed: number): Promise<LocalOutcome | undefined> {
    const { items, queries, params, memory } = this.#join
    const blocks = rangesOf(items.numRows, memory.itemRows)
    const k = Math.min(params.k, Math.max(1, items.numRows))
    const sample = new RowSampler(this.#numQueries, sampleSeed).take(Math.min(SAMPLE_ROWS, this.#numQueries))
    const dir = blocks.length > 1 ? [memory.tmp] : []
    const held: { dispose(): void }[] = []
    const hold = <T extends { dispose(): void }>(value: T) => {
      held.push(value)
      return value
    }
    try {
      const kept = hold(callNow(() => addon().createKept(this.#numQueries, k, ...dir)))
      const truths = hold(callNow(() => addon().createKept(sample.length, k, ...dir)))
      const founds = hold(callNow(() => addon().createKept(sample.length, k, ...dir)))
      const sink = hold(NeighborSink.create({ table: items }, queries, options))
      let recall = CERTAIN
      for (const [number, block] of blocks.entries()) {
        const at = { number, block, numBlocks: blocks.length }
        const { metric, distance, threads } = params
        const index = await this.#clock.time('read', () =>
          ItemIndex.ofRows(items, block, distance ?? metric, threads, { signal: this.#call.signal }),
        )
        try {
          index.items.limitSpareBytes(memory.spareBytes)
          const method = await this.#prepare(index)
          const measured = await this.#clock.time('tune', () =>
            this.#measure(index, method, sample, at, truths, founds),
          )
          if (measured) recall = measured
          if (measured && measured.estimate < this.#target) return undefined
          await this.#stream(index, method, at, kept, sink)
        } finally {
          index.dispose()
        }
      }
      const written = await this.#clock.time('write', () => sink.finish({ signal: this.#call.signal }))
      const plan = this.#plan ?? this.#planOf(items.numRows, items.numRows)
      const shape = { ...plan.shape, items: items.numRows, self: queries === undefined, distinct: undefined }
      return { plan: { ...plan, shape, recall: this.#target }, recall, tuning: this.#tuning, written }
    } finally {
      for (const value of held.reverse()) value.dispose()
    }
  }

  #planOf(items: number, distinct: number): Plan {
    const level = callNow((native) => native.cpu()).level
    const shape = { queries: this.#numQueries, items, dim: this.#join.items.dim, self: false, distinct }
    return planJoin(shape, this.#join.params, level, { memory: this.#join.memory })
  }

  /** How a block is searched: exactly, or by lists whose effort was tuned on it. */
  async #prepare(index: ItemIndex): Promise<Method> {
    const { numRows, numDistinct } = index.items
    let plan = this.#planOf(numRows, numDistinct)
    if (plan.method === 'cluster') {
      const tuning = { index, plan, ask: this.#ask, clock: this.#clock, call: this.#call }
      const listed = await planLists(tuning, this.#join.params)
      this.#tuning.push(...listed.steps)
      plan = listed.plan
    }
    // The report tells of the first block that has lists.
    if (this.#plan?.method !== 'cluster') this.#plan = plan
    return plan.method === 'exact'
      ? { method: 'exact', precision: plan.precision! }
      : { method: 'cluster', ...plan.effort! }
  }

  /** Takes the block into the sample's exact neighbors and into those found; their recall after the last block. */
  async #measure(
    index: ItemIndex,
    method: Method,
    sample: Uint32Array,
    at: Place,
    truths: NativeKept,
    founds: NativeKept,
  ): Promise<RecallEstimate | undefined> {
    if (this.#join.params.exact || sample.length === 0) return undefined
    const { signal } = this.#call
    const { numRows, dim } = index.items
    const level = callNow((native) => native.cpu()).level
    const shape = { queries: sample.length, items: numRows, dim, self: false }
    const exact: Method = { method: 'exact', precision: exactPrecision(shape, this.#ask.k, level) }
    const asked = { ...this.#ask, rows: sample }
    const merged = async (kept: NativeKept, how: Method) => {
      const found = await search(index, asked, how, { signal })
      return this.#merged(kept, found, 0, this.#leavesOut ? sample : undefined, at)
    }
    const truth = await merged(truths, exact)
    try {
      const found = await merged(founds, method)
      try {
        if (at.number + 1 < at.numBlocks || this.#plan?.method === 'exact') return undefined
        const recalls = callNow((native) => native.recall(truth, found))
        const effort = this.#plan?.effort
        const recall = estimateRecall(recalls, this.#numQueries)
        const { nprobe, rescore } = effort ?? { nprobe: 0, rescore: 0 }
        this.#tuning.push({ sample: 'validate', nprobe, rescore, recall: recall.estimate })
        return recall
      } finally {
        found.dispose()
      }
    } finally {
      truth.dispose()
    }
  }

  /** All queries meet a block; behind the last block, their neighbors are written. */
  async #stream(index: ItemIndex, method: Method, at: Place, kept: NativeKept, sink: NeighborSink): Promise<void> {
    const { signal } = this.#call
    const total = this.#numQueries
    for (const range of rangesOf(total, this.#join.memory.queryRows)) {
      const { first, count } = range
      const onProgress = ({ done, total: units }: { done: number; total: number }) => {
        const part = units === 0 ? 0 : Math.min(1, done / units)
        const all = at.number * total + first + part * count
        this.#call.onProgress?.({ stage: 'join', done: Math.floor(all / at.numBlocks), total })
      }
      const best = await this.#clock.time('join', async () => {
        const found = await search(index, { ...this.#ask, rows: range }, method, { signal, onProgress })
        const own = this.#leavesOut ? Uint32Array.from({ length: count }, (_, i) => first + i) : undefined
        return this.#merged(kept, found, first, own, at)
      })
      try {
        if (at.number + 1 === at.numBlocks) {
          await this.#clock.time('write', () => sink.write(first, best, { signal }))
        }
      } finally {
        best.dispose()
      }
    }
  }

  async #merged(
    kept: NativeKept,
    found: NativeNeighbors,
    firstQuery: number,
    leaveOut: Uint32Array | undefined,
    { number, block, numBlocks }: Place,
  ): Promise<NativeNeighbors> {
    const ends = { first: number === 0, last: number + 1 === numBlocks }
    const own = leaveOut === undefined ? {} : { leaveOut }
    const options = { firstQuery, firstItem: block.first, ...own, ...ends }
    try {
      return await call(() => kept.merge(found, options), { signal: this.#call.signal })
    } finally {
      found.dispose()
    }
  }
}

/** A block of items among all. */
interface Place {
  number: number
  block: RowRange
  numBlocks: number
}

/** All rows in ranges of so many. */
function rangesOf(rows: number, length: number): RowRange[] {
  const starts = Array.from({ length: Math.ceil(rows / length) }, (_, i) => i * length)
  return starts.map((first) => ({ first, count: Math.min(length, rows - first) }))
}
