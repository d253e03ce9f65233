import type { ItemIndex } from '../../indexes/item-index.ts'
import {
  type Around,
  CHOOSING_ROWS,
  type Effort,
  graphWidth,
  refineGuessSeconds,
  SAMPLE_ROWS,
  validationRows,
} from '../../join/cost.ts'
import { isRefinable, type Plan } from '../../join/plan.ts'
import { refine } from '../../join/refine.ts'
import { Samples } from '../../join/sample.ts'
import { CERTAIN, estimateRecall, type RecallEstimate } from '../../join/statistics.ts'
import { type Measure, type TuneStep, tune, validate } from '../../join/tuner.ts'
import { type Ask, search } from '../../search/search.ts'
import type { EngineCall, StageClock } from '../engine.ts'
import { LocalGraph } from './graph.ts'
import { Truths } from './truths.ts'

/** How the join is to be done, measured: by an effort of probing, by a graph that is ready, or exactly for a reason. */
export interface Settled {
  effort: Effort | undefined
  /** The self join's neighbors, but for their true distances. */
  graph: LocalGraph | undefined
  recall: RecallEstimate
  steps: TuneStep[]
  reason: string
}

export interface Tuning {
  index: ItemIndex
  /** With its lists built. */
  plan: Plan
  ask: Ask
  clock: StageClock
  call: EngineCall
  /** An effort to try before others. */
  usual?: Effort | undefined
}

/** Settles how to join: by the tuner's rule, or as a saved plan says. */
export async function settle(tuning: Tuning, saved: Effort | undefined): Promise<Settled> {
  const { index, plan, ask, call } = tuning
  const truths = new Truths(index, plan, ask, call)
  try {
    return await (saved ? repeat(tuning, saved, truths) : choose(tuning, truths))
  } finally {
    truths.dispose()
  }
}

async function choose(tuning: Tuning, truths: Truths): Promise<Settled> {
  const { plan, ask, clock } = tuning
  const { shape, level, recall, seed } = plan
  const samples = new Samples(shape.queries, seed, SAMPLE_ROWS, CHOOSING_ROWS)
  const numLists = plan.effort!.numLists
  const task = { shape, k: ask.k, recall, numLists, seed, level }
  const measure = measureWith(tuning, truths)
  if (tuning.usual) {
    const rows = validationRows(shape, tuning.usual, ask.k, level)
    const others = new Samples(shape.queries, seed, rows)
    const known = await clock.time('tune', () => validate(task, tuning.usual!, measure, others))
    if (known.effort) return { ...known, graph: undefined, recall: known.recall! }
  }
  const width = isRefinable(plan) ? graphWidth(ask.k, recall) : undefined
  const limit = width === undefined ? undefined : refineGuessSeconds(shape, numLists, width, level)
  const tuned = await clock.time('tune', () => tune({ ...task, limit }, measure, samples))
  if (tuned.effort || width === undefined) return { ...tuned, graph: undefined, recall: tuned.recall ?? CERTAIN }

  const wide = Math.max(width, Math.min(64, Math.ceil(tuned.rescore / 8) * 8))
  const validation = samples.next()
  if (validation) await clock.time('tune', () => truths.prepare(validation))
  const graph = await LocalGraph.create(tuning.index, ask, wide, seed)
  try {
    const probed = new Map(tuned.steps.filter(isBase).map(({ nprobe, recall }) => [nprobe, recall]))
    const refined = await refine({ ...task, width: wide }, probed, stepsOf(graph, tuning, truths), samples)
    const steps = [...tuned.steps, ...refined.steps]
    if (refined.recall) {
      const { nprobe, rounds, reason } = refined
      return { effort: { numLists, nprobe, rescore: wide, rounds }, graph, recall: refined.recall, steps, reason }
    }
    graph.dispose()
    const again = await clock.time('tune', () => tune(task, measure, samples))
    return { ...again, graph: undefined, recall: again.recall ?? CERTAIN, steps: [...steps, ...again.steps] }
  } catch (error) {
    graph.dispose()
    throw error
  }
}

/** A measurement of probing with the usual candidates. */
function isBase({ sample, rescore }: TuneStep, _: number, [first]: TuneStep[]): boolean {
  return sample === 'choose' && rescore === first!.rescore
}

/** Does what a saved effort says, and measures what it reaches. */
async function repeat(tuning: Tuning, effort: Effort, truths: Truths): Promise<Settled> {
  const { index, plan, ask, clock } = tuning
  const { numQueries, seed } = { numQueries: plan.shape.queries, seed: plan.seed }
  const sample = new Samples(numQueries, seed, SAMPLE_ROWS, CHOOSING_ROWS).fresh() ?? new Uint32Array()
  const reason = 'a saved plan'
  const estimate = (recalls: Float32Array) => estimateRecall(recalls, numQueries)
  const step = (recall: RecallEstimate): TuneStep[] => [
    { sample: 'validate', nprobe: effort.nprobe, rescore: effort.rescore, recall: recall.estimate },
  ]
  const { rounds } = effort
  if (!rounds) {
    const recall = estimate(await clock.time('tune', () => measureWith(tuning, truths)(sample, effort)))
    return { effort, graph: undefined, recall, steps: step(recall), reason }
  }
  const graph = await LocalGraph.create(index, ask, effort.rescore, seed)
  try {
    const steps = stepsOf(graph, tuning, truths)
    await steps.probe(0, effort.nprobe)
    let probed = effort.nprobe
    for (const [number, round] of rounds.entries()) {
      if (round.nprobe !== undefined) await steps.probe(probed, round.nprobe)
      probed = round.nprobe ?? probed
      await steps.round(round, number)
    }
    const recall = estimate(await steps.recall(sample))
    return { effort, graph, recall, steps: step(recall), reason }
  } catch (error) {
    graph.dispose()
    throw error
  }
}

/** Recall of probing alone. */
export function measureWith(
  { index, ask, call: { signal } }: Pick<Tuning, 'index' | 'ask' | 'call'>,
  truths: Truths,
): Measure {
  return async (rows, { nprobe, rescore }) => {
    const found = await search(index, { ...ask, rows }, { method: 'cluster', nprobe, rescore }, { signal })
    return truths.recall(rows, found)
  }
}

/** The steps of the graph's construction, timed: what is kept counts as joining, what only measures as tuning. */
function stepsOf(graph: LocalGraph, tuning: Tuning, truths: Truths) {
  const { clock, call } = tuning
  const { signal } = call
  const onProgress = (progress: { done: number; total: number }) => call.onProgress?.({ stage: 'join', ...progress })
  return {
    probe: (from: number, to: number) => clock.time('join', () => graph.probe(from, to, { signal, onProgress })),
    round: (around: Around, number: number) =>
      clock.time('join', () => graph.round(around, number, { signal, onProgress })),
    recall: (sample: Uint32Array) =>
      clock.time('tune', async () => truths.recall(sample, await graph.neighbors(sample, { signal }))),
    preview: (sample: Uint32Array, around: Around, number: number) =>
      clock.time('tune', async () => truths.recall(sample, await graph.preview(sample, around, number, { signal }))),
  }
}
