// Chooses the effort of a cluster join on one sample of queries with known neighbors, and validates it on others.

import type { CpuLevel } from '../native.ts'
import {
  type Around,
  baseRescore,
  clusterSearchSeconds,
  type Effort,
  exactPrecision,
  exactSeconds,
  type JoinShape,
  SAMPLE_ROWS,
} from './cost.ts'
import { Samples } from './sample.ts'
import { estimateRecall, mean, type RecallEstimate, standardError } from './statistics.ts'

/** Recall of each of the sample's queries at an effort. A sample's truth is computed once, at its first use. */
export type Measure = (sample: Uint32Array, effort: Effort) => Promise<Float32Array>

export interface TuneTask {
  shape: JoinShape
  k: number
  recall: number
  numLists: number
  seed: number
  level: CpuLevel
  /** Another way is known that costs so many seconds of one thread: dearer efforts are not looked at. */
  limit?: number | undefined
}

export interface TuneStep {
  sample: 'choose' | 'validate'
  nprobe: number
  rescore: number
  /** Rounds of neighbors of neighbors before this measurement. */
  rounds?: number | undefined
  /** The round was not made: its recall is predicted. */
  preview?: Around | undefined
  recall: number
}

/** An effort that was validated, or none: then the join goes exact for the reason given. */
export interface Tuned {
  effort: Effort | undefined
  recall: RecallEstimate | undefined
  steps: TuneStep[]
  reason: string
  /** The candidates of a query that int8 codes need kept, as far as that was found out. */
  rescore: number
}

/** A doubling that gains less than this is a plateau: more lists do not help, more rescoring may. */
const PLATEAU = 0.002
const MAX_RESCORE = 16
/** Standard errors kept in reserve while choosing: 95 % one-sided, so that a sample's luck seldom decides. */
export const CAUTION = 1.645
/** Of the recall that may be missed, the part that int8 codes may take. */
const QUANTIZATION_SHARE = 0.2
/** A validation that fails mostly fails narrowly: effort is raised a little first, then more. */
const RAISES = [1.125, 1.25, 1.5]

export const VALIDATED = 'the recall was met on a sample of its own'

export async function tune(
  task: TuneTask,
  measure: Measure,
  samples: Samples = new Samples(task.shape.queries, task.seed, SAMPLE_ROWS),
): Promise<Tuned> {
  const { k, recall: target, numLists } = task
  const { isAffordable, tooDear } = affordable(task)
  const steps: TuneStep[] = []
  let effort: Effort = { numLists, nprobe: 1, rescore: baseRescore(k) }
  const giveUp = (reason: string): Tuned => {
    return { effort: undefined, recall: undefined, steps, reason, rescore: effort.rescore }
  }

  const { chosen } = samples
  const score = async (effort: Effort) => {
    const recalls = await measure(chosen, effort)
    steps.push({ sample: 'choose', nprobe: effort.nprobe, rescore: effort.rescore, recall: mean(recalls) })
    return mean(recalls) - CAUTION * standardError(recalls)
  }

  let value = await score(effort)
  let rescoreChosen = false
  const chooseRescore = async () => {
    rescoreChosen = true
    const best = await score({ ...effort, rescore: effort.rescore * 4 })
    const enough = best - QUANTIZATION_SHARE * (1 - target)
    for (const rescore of [effort.rescore, effort.rescore * 1.5, effort.rescore * 2, effort.rescore * 4]) {
      const candidate = { ...effort, rescore }
      const reached = rescore === effort.rescore ? value : await score(candidate)
      if (reached < enough) continue
      effort = candidate
      value = reached
      return
    }
  }

  while (value < target) {
    if (!rescoreChosen && (effort.nprobe >= 8 || effort.nprobe === numLists)) await chooseRescore()
    if (value >= target) break
    const wider = { ...effort, nprobe: Math.min(effort.nprobe * 2, numLists) }
    const gained = wider.nprobe === effort.nprobe ? 0 : (await score(wider)) - value
    if (gained < PLATEAU && value + gained < target) {
      const deeper = { ...wider, rescore: wider.rescore * 2 }
      const limit = baseRescore(k) * MAX_RESCORE
      if (deeper.rescore > limit && wider.nprobe === numLists) return giveUp('the lists cannot reach the recall')
      effort = deeper.rescore <= limit ? deeper : wider
      value = await score(effort)
    } else {
      effort = wider
      value += gained
    }
    if (!isAffordable(effort)) return giveUp(tooDear)
  }
  if (!rescoreChosen && effort.nprobe < numLists) await chooseRescore()
  effort = await shrink(effort, target, score)
  const validated = await validate(task, effort, measure, samples)
  return { ...validated, steps: [...steps, ...validated.steps] }
}

/** Measures an effort on samples of their own, and raises it until the recall is met. */
export async function validate(task: TuneTask, first: Effort, measure: Measure, samples: Samples): Promise<Tuned> {
  const { shape, recall: target, numLists } = task
  const { isAffordable, tooDear } = affordable(task)
  const steps: TuneStep[] = []
  let effort = first
  for (let round = 0; ; round++) {
    const giveUp = (reason: string): Tuned => {
      return { effort: undefined, recall: undefined, steps, reason, rescore: effort.rescore }
    }
    if (!isAffordable(effort)) return giveUp(tooDear)
    const sample = samples.fresh()
    if (!sample) return giveUp('no rows are left to validate on')
    const recalls = await measure(sample, effort)
    const recall = estimateRecall(recalls, shape.queries)
    steps.push({ sample: 'validate', nprobe: effort.nprobe, rescore: effort.rescore, recall: recall.estimate })
    if (recall.estimate >= target) return { effort, recall, steps, reason: VALIDATED, rescore: effort.rescore }
    if (effort.nprobe === numLists) return giveUp('the lists cannot reach the recall')
    effort = { ...effort, nprobe: Math.min(numLists, Math.ceil(effort.nprobe * (RAISES[round] ?? RAISES.at(-1)!))) }
  }
}

/** Which efforts are worth it, beside the other ways there are. */
function affordable({ shape, k, level, limit = Number.POSITIVE_INFINITY }: TuneTask) {
  const exact = exactSeconds(shape, k, exactPrecision(shape, k, level), level)
  const most = Math.min(exact, limit)
  return {
    isAffordable: (effort: Effort) => clusterSearchSeconds(shape, effort, level) < most,
    tooDear:
      limit < exact ? 'neighbors of neighbors are cheaper' : 'an exact search is cheaper than the lists it would take',
  }
}

/** The least nprobe that still reaches the target, to within a sixteenth. */
async function shrink(effort: Effort, target: number, score: (effort: Effort) => Promise<number>): Promise<Effort> {
  let high = effort.nprobe
  let low = Math.floor(high / 2)
  while (high - low > Math.max(1, high >> 4)) {
    const nprobe = (low + high) >> 1
    if ((await score({ ...effort, nprobe })) >= target) high = nprobe
    else low = nprobe
  }
  return { ...effort, nprobe: high }
}
