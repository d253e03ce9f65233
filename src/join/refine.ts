// Builds the graph of a self join: probes, then rounds of neighbors of neighbors until the recall is met. How many probes is
// settled by what they find on the sample; each round by what it would find there for its predicted cost.

import type { CpuLevel } from '../native.ts'
import {
  type Around,
  exactPrecision,
  exactSeconds,
  finishSeconds,
  type JoinShape,
  probeSeconds,
  type Round,
  roundSeconds,
  roundsFor,
} from './cost.ts'
import type { Samples } from './sample.ts'
import { estimateRecall, mean, type RecallEstimate, standardError } from './statistics.ts'
import { CAUTION, type TuneStep, VALIDATED } from './tuner.ts'

/** The graph under construction, as the rule below sees it. Recalls are of each of a sample's rows. */
export interface GraphSteps {
  /** Scans the lists of the ranks from `from` to `to` for every row. */
  probe(from: number, to: number): Promise<void>
  round(around: Around, number: number): Promise<void>
  /** Of the graph as it is. */
  recall(sample: Uint32Array): Promise<Float32Array>
  /** Of a round that is not made. */
  preview(sample: Uint32Array, around: Around, number: number): Promise<Float32Array>
}

export interface RefineTask {
  shape: JoinShape
  recall: number
  k: number
  numLists: number
  width: number
  level: CpuLevel
}

/** What was done, and the recall on a sample of its own; undefined where it was not met. */
export interface Refined {
  nprobe: number
  rounds: Round[]
  recall: RecallEstimate | undefined
  steps: TuneStep[]
  reason: string
}

/** What a round would leave. */
interface Forecast {
  next: Round
  expected: number
  /** With a reserve. */
  isEnough: boolean
}

/** Fewer probes, or so many that find less than half, leave the graph closed within its lists: rounds find little there. */
const LEAST_PROBES = 4
const LEAST_RECALL = 0.5
/** What rounds usually leave of what is missing: the first full one, further ones, and one among few rows. */
const LEFT = { first: 0.25, further: 0.5, few: 0.6 }
const MAX_ROUNDS = 8
/** A round finds so much more than its forecast, as a part of what it gains: it makes use of what it found on the way. */
const ON_THE_WAY = 0.05
/** Where a round would leave more than this of what is missing, the graph needs more probes before. */
const STUCK = 0.8
/** Where the smallest round leaves less than so many times what may be missed, one a little larger mostly does. */
const NEAR = 1.3
const MORE_PROBES = 4

/** `probed`: recalls of probing alone on the chosen sample, by nprobe. */
export async function refine(
  task: RefineTask,
  probed: ReadonlyMap<number, number>,
  graph: GraphSteps,
  samples: Samples,
): Promise<Refined> {
  const { shape, recall: target, k, numLists, width, level } = task
  const { chosen } = samples
  const steps: TuneStep[] = []
  const rounds: Round[] = []
  const most = exactSeconds(shape, k, exactPrecision(shape, k, level), level)
  const first = firstProbes(task, probed)
  let nprobe = first
  let spent = probeSeconds(shape, numLists, nprobe, level) + finishSeconds(shape, width)
  const state = () => ({ nprobe, rescore: width, rounds: rounds.length })
  const outcome = (recall: RecallEstimate | undefined, reason: string): Refined => {
    return { nprobe: first, rounds, recall, steps, reason }
  }
  const tooDear = 'neighbors of neighbors cost too much'

  await graph.probe(0, nprobe)
  for (;;) {
    const recalls = await graph.recall(chosen)
    const value = mean(recalls)
    steps.push({ sample: 'choose', ...state(), recall: value })
    // A round that was to leave the whole reserve is validated if it left half: another one costs more than a try.
    const reserve = CAUTION * standardError(recalls) * (rounds.length > 0 ? 0.5 : 1)
    const isMet = value >= target + reserve
    const validate = async (): Promise<Refined | undefined> => {
      const sample = samples.fresh()
      if (!sample) return outcome(undefined, 'no rows are left to validate on')
      const recall = estimateRecall(await graph.recall(sample), shape.queries)
      steps.push({ sample: 'validate', ...state(), recall: recall.estimate })
      return recall.estimate >= target ? outcome(recall, VALIDATED) : undefined
    }
    // Where nothing more can be afforded, what is there may do without a reserve.
    const giveUp = async (reason: string): Promise<Refined> => {
      const without = value >= target && !isMet ? await validate() : undefined
      return without ?? outcome(undefined, reason)
    }
    if (isMet) {
      const validated = await validate()
      if (validated) return validated
    }
    // The reserve is that of the recalls which a round leaves: they are higher, and so differ less, than those before it.
    const look = async (around: Around): Promise<Forecast> => {
      const found = await graph.preview(chosen, around, rounds.length)
      steps.push({ sample: 'choose', ...state(), preview: around, recall: mean(found) })
      const expected = mean(found) + ON_THE_WAY * (mean(found) - value)
      return { next: around, expected, isEnough: expected >= target + CAUTION * standardError(found) }
    }
    // As few rows around each as are enough; otherwise as many as there can be.
    const sizes = roundsFor(width)
    const last = sizes.length - 1
    let forecast = isMet ? undefined : await look(sizes[0]!)
    if (!forecast?.isEnough) {
      // A look takes as long as a part of a round does: where little is missing, a little more is tried first.
      const isNear = forecast !== undefined && 1 - forecast.expected < NEAR * (1 - target)
      let [few, enough] = [0, isNear ? Math.min(2, last) : last]
      forecast = await look(sizes[enough]!)
      if (!forecast.isEnough && enough < last) [few, enough, forecast] = [enough, last, await look(sizes[last]!)]
      while (!isMet && forecast.isEnough && enough - few > 1) {
        const middle = (few + enough) >> 1
        const other = await look(sizes[middle]!)
        if (other.isEnough) [forecast, enough] = [other, middle]
        else few = middle
      }
    }
    let { next } = forecast
    if (!forecast.isEnough && 1 - forecast.expected > STUCK * (1 - value)) {
      const more = Math.min(MORE_PROBES * nprobe, numLists)
      if (more === nprobe) return giveUp('neighbors of neighbors do not reach the recall')
      spent += probeSeconds(shape, numLists, more - nprobe, level)
      if (spent > most) return giveUp(tooDear)
      await graph.probe(nprobe, more)
      nprobe = more
      next = { ...sizes.at(-1)!, nprobe }
    }
    spent += roundSeconds(shape, width, next, level)
    if (spent > most || rounds.length === MAX_ROUNDS) return giveUp(tooDear)
    await graph.round(next, rounds.length)
    rounds.push(next)
  }
}

/** The probes from which the recall is reached for the least cost, rounds doing what they usually do. */
export function firstProbes(task: RefineTask, probed: ReadonlyMap<number, number>): number {
  const { shape, recall: target, numLists, width, level } = task
  const [few, full] = [roundsFor(width)[0]!, roundsFor(width).at(-1)!]
  const costs = { few: roundSeconds(shape, width, few, level), full: roundSeconds(shape, width, full, level) }
  const worthwhile = [...probed].filter(([nprobe, recall]) => nprobe >= LEAST_PROBES && recall >= LEAST_RECALL)
  const most = Math.max(...probed.keys())
  let best = { nprobe: Math.min(Math.max(LEAST_PROBES, most), numLists), seconds: Number.POSITIVE_INFINITY }
  for (const [nprobe, recall] of worthwhile) {
    let seconds = probeSeconds(shape, numLists, nprobe, level)
    // A little more than is asked for, as the choice on a sample takes it.
    let missing = (1 - recall) / (0.85 * (1 - target))
    for (let made = 0; missing > 1; made++) {
      const last = missing * LEFT.few <= 1
      seconds += last ? costs.few : costs.full
      missing *= last ? LEFT.few : made === 0 ? LEFT.first : LEFT.further
    }
    if (seconds < best.seconds) best = { nprobe, seconds }
  }
  return best.nprobe
}
