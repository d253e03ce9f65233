// The effort that reaches a recall: measured on rows of the index, each of which asks for the others.
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption } from '../errors.ts'
import type { TunedEffort } from '../indexes/index-directory.ts'
import { keepOf, liveRows, type Segment } from '../indexes/segment.ts'
import { Samples } from '../join/sample.ts'
import { estimateRecall, mean, standardError } from '../join/statistics.ts'
import { type CallOptions, call, callNow, type NativeKeep, type NativeNeighbors } from '../native.ts'

/** Rows of each of the two samples: one to choose on, one to tell what was reached. */
const SAMPLE_ROWS = 1000
/** More than any index has of anything. */
const MOST_EFFORT = 1 << 30
/** The chosen effort reaches the target with so many standard errors to spare. */
const RESERVE = 1.6

interface Task {
  k: number
  recall: number
  seed: number
  threads: number
}

/** The least effort, to within some percent, and the recall that it reached on other rows. The largest segment speaks for all. */
export async function tuneEffort(
  segments: readonly Segment[],
  { k: asked, recall: target, seed, threads }: Task,
  { signal, onProgress }: EngineCall,
): Promise<TunedEffort> {
  if (!(target > 0 && target <= 1)) throw invalidOption('recall', `must be above 0 and up to 1, not ${target}`)
  const live = ({ numRows, numDeleted }: Segment) => numRows - numDeleted
  const segment = segments.reduce((most, one) => (live(one) > live(most) ? one : most))
  const rows = liveRows(segment)
  const k = Math.min(asked, Math.max(1, rows.length - 1))
  const samples = new Samples(rows.length, seed, SAMPLE_ROWS)
  const keep = await keepOf(segment, undefined, { signal })
  const options = { signal }
  const sampled = (numbers: Uint32Array) => numbers.map((number) => rows[number]!)
  const measuring = { segment, k, threads, keep }
  try {
    const choosing = await Measure.on(measuring, sampled(samples.chosen), options)
    let steps = 0
    const reaches = async (effort: number) => {
      onProgress?.({ stage: 'tune', done: ++steps, total: 0 })
      const recalls = await choosing.at(effort, options)
      return mean(recalls) - RESERVE * standardError(recalls) >= target || mean(recalls) === 1
    }
    // One bucket a table may have fewer than k rows; from two on, tables are searched until there are k.
    const fewest = segment.native.kind === 'lsh' ? 2 : 1
    let [low, high] = [fewest - 1, Math.max(fewest, Math.min(k, 8))]
    while (!(await reaches(high)) && high < Math.min(MOST_EFFORT, 16 * rows.length)) [low, high] = [high, high * 2]
    while (high - low > Math.max(1, high * 0.05)) {
      const middle = Math.floor((low + high) / 2)
      if (await reaches(middle)) high = middle
      else low = middle
    }
    choosing.dispose()
    const others = samples.fresh() ?? samples.chosen
    const judging = await Measure.on(measuring, sampled(others), options)
    const reached = estimateRecall(await judging.at(high, options), rows.length)
    judging.dispose()
    const { estimate, low: least, high: most } = reached
    return { k: asked, recall: target, effort: high, estimate, low: least, high: most }
  } finally {
    keep?.dispose()
  }
}

/** Recalls of some rows of a segment, at any effort. */
class Measure {
  readonly #task: Measuring
  readonly #rows: Uint32Array
  readonly #truth: NativeNeighbors

  private constructor(task: Measuring, rows: Uint32Array, truth: NativeNeighbors) {
    this.#task = task
    this.#rows = rows
    this.#truth = truth
  }

  static async on(task: Measuring, rows: Uint32Array, options: CallOptions): Promise<Measure> {
    const { segment, k, threads, keep } = task
    const exact = { k, rows, includeSelf: false, threads, precision: 'int8' as const }
    return new Measure(task, rows, await call((_, job) => segment.native.search(undefined, exact, keep, job), options))
  }

  async at(effort: number, options: CallOptions): Promise<Float32Array> {
    const { segment, k, threads, keep } = this.#task
    const search = { k, rows: this.#rows, includeSelf: false, threads, effort: Math.min(effort, MOST_EFFORT) }
    const found = await call((_, job) => segment.native.search(undefined, search, keep, job), options)
    try {
      return callNow((native) => native.recall(this.#truth, found))
    } finally {
      found.dispose()
    }
  }

  dispose(): void {
    this.#truth.dispose()
  }
}

interface Measuring {
  segment: Segment
  k: number
  threads: number
  keep: NativeKeep | undefined
}
