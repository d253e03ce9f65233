import type { JoinParams } from '../../join/options.ts'
import { planJoin } from '../../join/plan.ts'
import { type Settled, settle, type Tuning } from './tune.ts'

/** Partitions the items as the plan wants, settles the effort, and plans anew with both. */
export async function planLists(tuning: Tuning, params: JoinParams): Promise<Settled & { plan: Tuning['plan'] }> {
  const { index, plan, clock, call } = tuning
  const { threads, seed, plan: saved } = params
  const lists = saved?.lists ?? plan.effort!.numLists
  const builtNow = index.clusters === undefined
  const onProgress = (progress: { done: number; total: number }) => call.onProgress?.({ stage: 'cluster', ...progress })
  await clock.time('cluster', () => index.cluster(lists, seed, threads, { signal: call.signal, onProgress }))
  const { numLists, isRotated } = index.clusters!
  const codes = isRotated ? 'rotated' : 'plain'
  const before = { ...plan, effort: { ...plan.effort!, numLists } }
  const settled = await settle({ ...tuning, plan: before }, saved?.effort)
  const { effort, reason } = settled
  const ready = { numLists, lists, builtNow, effort, reason, memory: plan.memory }
  return { ...settled, plan: planJoin(plan.shape, params, plan.level, { ...ready, codes }) }
}
