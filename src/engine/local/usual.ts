// The effort for batches of few queries against a model: too few to choose one on, so items stand for them. A query's answer
// then depends neither on the others of its batch nor on those before.
import type { ItemIndex } from '../../indexes/item-index.ts'
import { type Effort, SAMPLE_ROWS } from '../../join/cost.ts'
import type { JoinParams } from '../../join/options.ts'
import { planJoin } from '../../join/plan.ts'
import { Samples } from '../../join/sample.ts'
import type { RecallEstimate } from '../../join/statistics.ts'
import { type TuneStep, tune } from '../../join/tuner.ts'
import { callNow } from '../../native.ts'
import type { Ask } from '../../search/search.ts'
import type { EngineCall, StageClock } from '../engine.ts'
import { Truths } from './truths.ts'
import { measureWith } from './tune.ts'

export interface UsualEffort {
  effort: Effort
  recall: RecallEstimate
  steps: TuneStep[]
}

/** Chooses and validates an effort on samples of the items, each looking for others. Undefined where an exact search is cheaper. */
export async function usualEffort(
  index: ItemIndex,
  params: JoinParams,
  clock: StageClock,
  call: EngineCall,
): Promise<UsualEffort | undefined> {
  const { numRows: items, dim, numDistinct: distinct } = index.items
  const { numLists } = index.clusters!
  const { level } = callNow((native) => native.cpu())
  const { recall, seed, threads, maxDistance } = params
  const k = Math.min(params.k, Math.max(1, items))
  const shape = { queries: items, items, dim, self: false, distinct }
  const plan = planJoin(shape, params, level, { numLists })
  const ask: Ask = { queries: undefined, k, maxDistance, includeSelf: false, threads }
  const truths = new Truths(index, plan, ask, call)
  try {
    const measure = measureWith({ index, ask, call }, truths)
    const task = { shape, k, recall, numLists, seed, level }
    const tuned = await clock.time('tune', () => tune(task, measure, new Samples(items, seed, SAMPLE_ROWS)))
    if (!tuned.effort || !tuned.recall) return undefined
    return { effort: tuned.effort, recall: { ...tuned.recall, of: 'items' }, steps: tuned.steps }
  } finally {
    truths.dispose()
  }
}
