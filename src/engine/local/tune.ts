import type { ItemIndex } from '../../indexes/item-index.ts'
import { type Effort, exactPrecision } from '../../join/cost.ts'
import type { Plan } from '../../join/plan.ts'
import { type Tuned, tune } from '../../join/tuner.ts'
import { callNow, type NativeNeighbors } from '../../native.ts'
import { type Ask, search } from '../../search/search.ts'
import type { EngineCall } from '../engine.ts'

/** Runs the tuner against the items: exact answers of its samples, and cluster searches of the same rows. */
export async function tuneLocally(index: ItemIndex, plan: Plan, ask: Ask, call: EngineCall): Promise<Tuned> {
  const { shape, level } = plan
  const truths = new Map<Uint32Array, NativeNeighbors>()
  const precision = exactPrecision(shape, ask.k, level)
  const truthOf = async (rows: Uint32Array) => {
    const known = truths.get(rows)
    if (known) return known
    const onProgress =
      call.onProgress &&
      (({ done, total }: { done: number; total: number }) => {
        call.onProgress?.({ stage: 'tune', done: total === 0 ? 0 : (done / total) * rows.length, total: rows.length })
      })
    const truth = await search(
      index,
      { ...ask, rows },
      { method: 'exact', precision },
      { signal: call.signal, onProgress },
    )
    truths.set(rows, truth)
    return truth
  }
  const measure = async (rows: Uint32Array, { nprobe, rescore }: Effort) => {
    const truth = await truthOf(rows)
    const found = await search(index, { ...ask, rows }, { method: 'cluster', nprobe, rescore }, { signal: call.signal })
    try {
      return callNow((native) => native.recall(truth, found))
    } finally {
      found.dispose()
    }
  }
  try {
    const numLists = plan.effort!.numLists
    return await tune({ shape, k: ask.k, recall: plan.recall, numLists, seed: plan.seed, level }, measure)
  } finally {
    for (const truth of truths.values()) truth.dispose()
  }
}
