// The plan of a join: plain data. Nothing here runs anything.

import type { CpuLevel, Metric, Precision } from '../native.ts'
import {
  baseRescore,
  chooseNumLists,
  clusterSearchSeconds,
  clusterSeconds,
  type Effort,
  exactPrecision,
  exactSeconds,
  finishSeconds,
  graphWidth,
  guessNprobe,
  type JoinShape,
  probeSeconds,
  readSeconds,
  refineGuessSeconds,
  roundSeconds,
  SAMPLE_ROWS,
  tuneSeconds,
  writeSeconds,
} from './cost.ts'
import type { MemoryPlan } from './memory.ts'
import { isIndexed } from './metric.ts'
import type { JoinParams } from './options.ts'

export type StageName = 'read' | 'cluster' | 'tune' | 'join' | 'write'

/** A stage with its parameters and what it is expected to take. */
export interface Stage {
  stage: StageName
  params: Record<string, unknown>
  /** Wall time expected on the plan's threads. */
  seconds: number
}

export interface Plan {
  method: 'exact' | 'cluster'
  /** Why this method. */
  reason: string
  metric: Metric
  k: number
  recall: number
  shape: JoinShape
  level: CpuLevel
  threads: number
  seed: number
  /** Of an exact search. */
  precision: Precision | undefined
  /** Of a cluster search; a guess until `tuned`. */
  effort: Effort | undefined
  tuned: boolean
  /** Lists asked for: long ones are split, so that there are a few more. */
  lists: number | undefined
  stages: Stage[]
  /** Expected wall time and peak memory. */
  seconds: number
  bytes: number
  /** Where the vectors are. */
  memory: MemoryPlan | undefined
}

/** What the plan may build on. */
export interface Ready {
  /** Lists that exist already. */
  numLists?: number | undefined
  /** As many were asked for. */
  lists?: number | undefined
  /** They were built for this join: their time counts. */
  builtNow?: boolean | undefined
  /** How the rows of the lists are coded. */
  codes?: 'plain' | 'rotated' | undefined
  /** The effort that a tuner settled on. */
  effort?: Effort | undefined
  /** It was settled before this join: a few queries take it as it is, more of them measure it. */
  usual?: boolean | undefined
  /** Why: of the effort, or of going exact after all without one. */
  reason?: string | undefined
  /** Where the vectors are, once that is settled. */
  memory?: MemoryPlan | undefined
  /** The items are kept without their zeros. */
  sparse?: boolean | undefined
}

/** Chooses the method by the cost model, and lays out the stages. */
export function planJoin(shape: JoinShape, params: JoinParams, level: CpuLevel, ready: Ready = {}): Plan {
  const { k, threads } = params
  const numLists = ready.numLists ?? chooseNumLists(shape.distinct ?? shape.items)
  const nprobe = guessNprobe(params.recall, numLists)
  const effort = ready.effort ?? params.plan?.effort ?? { numLists, nprobe, rescore: baseRescore(k) }
  const coded = isIndexed(params.metric) && !ready.sparse
  const precision = params.plan?.precision ?? (coded ? exactPrecision(shape, k, level) : 'f32')
  const exact = exactSeconds(shape, k, precision, level)
  const cluster = {
    build: ready.numLists === undefined || ready.builtNow ? clusterSeconds(shape, numLists, level) : 0,
    tune: tuneSeconds(shape, effort, k, level),
    search: searchSeconds(shape, effort, params, level),
  }
  if (ready.usual) cluster.tune = shape.queries < SAMPLE_ROWS ? 0 : cluster.search
  const lists = cluster.build + cluster.tune + cluster.search
  const { method, reason } = choose(params, exact, lists, ready)

  const rowBytes = shape.dim * 4 + 16
  const inputBytes = (shape.items + (shape.self ? 0 : shape.queries)) * rowBytes
  const outputBytes = shape.queries * (16 + k * 12)
  const wall = (seconds: number) => seconds / threads
  const stages: Stage[] = [{ stage: 'read', params: { ...shape }, seconds: wall(readSeconds(inputBytes)) }]
  if (method === 'cluster') {
    stages.push({ stage: 'cluster', params: { numLists, codes: ready.codes }, seconds: wall(cluster.build) })
    const tuning = { recall: params.recall, sampleRows: Math.min(SAMPLE_ROWS, shape.queries), samples: 2 }
    stages.push({ stage: 'tune', params: tuning, seconds: wall(cluster.tune) })
    const rounds = effort.rounds?.map(({ forward, reverse }) => `${forward} + ${reverse}`).join(', ')
    const search = { method, nprobe: effort.nprobe, rescore: effort.rescore, rounds: rounds || undefined, k }
    stages.push({ stage: 'join', params: search, seconds: wall(cluster.search) })
  } else {
    stages.push({ stage: 'join', params: { method, precision, k }, seconds: wall(exact) })
  }
  const writing = { layout: params.layout, rows: params.layout === 'nested' ? shape.queries : shape.queries * k }
  stages.push({ stage: 'write', params: writing, seconds: wall(writeSeconds(outputBytes)) })
  return {
    method,
    reason,
    metric: params.metric,
    k,
    recall: params.recall,
    shape,
    level,
    threads,
    seed: params.seed,
    precision: method === 'exact' ? precision : undefined,
    effort: method === 'cluster' ? effort : undefined,
    tuned: method === 'cluster' && ready.effort !== undefined,
    lists: method === 'cluster' ? (ready.lists ?? numLists) : undefined,
    stages,
    seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0),
    // Vectors, int8 codes and norms of the items, a second copy while lists are laid out, and the results.
    bytes: inputBytes + shape.items * (shape.dim + 16) * (method === 'cluster' ? 2 : 1) + outputBytes + 60e6,
    memory: ready.memory,
  }
}

/** Whether a join can be refined through neighbors of neighbors: of all rows among themselves, under a metric. */
export function isRefinable({ shape, metric, k, recall }: Pick<Plan, 'shape' | 'metric' | 'k' | 'recall'>): boolean {
  return shape.self && metric !== 'dot' && graphWidth(k, recall) !== undefined
}

/** Seconds of one thread for the search, once the lists are there. */
function searchSeconds(shape: JoinShape, effort: Effort, params: JoinParams, level: CpuLevel): number {
  const { numLists, nprobe, rescore, rounds } = effort
  if (rounds) {
    const refining = rounds.map((around) => roundSeconds(shape, rescore, around, level))
    const probing = probeSeconds(shape, numLists, nprobe, level)
    return probing + refining.reduce((sum, seconds) => sum + seconds, 0) + finishSeconds(shape, rescore)
  }
  const probing = clusterSearchSeconds(shape, effort, level)
  if (!isRefinable({ shape, ...params })) return probing
  return Math.min(probing, refineGuessSeconds(shape, numLists, graphWidth(params.k, params.recall)!, level))
}

function choose(
  params: JoinParams,
  exact: number,
  lists: number,
  ready: Ready,
): { method: 'exact' | 'cluster'; reason: string } {
  if (!isIndexed(params.metric)) return { method: 'exact', reason: `${params.metric} is searched exactly` }
  if (ready.sparse) return { method: 'exact', reason: 'sparse vectors are searched exactly' }
  if (params.exact) return { method: 'exact', reason: 'asked for' }
  if (params.plan) return { method: params.plan.method, reason: 'a saved plan' }
  if (ready.reason) return { method: ready.effort ? 'cluster' : 'exact', reason: ready.reason }
  const ratio = (a: number, b: number) => `${(a / b).toPrecision(2)} times`
  if (exact <= lists) return { method: 'exact', reason: `lists would cost ${ratio(lists, exact)} as much` }
  return { method: 'cluster', reason: `an exact search would cost ${ratio(exact, lists)} as much` }
}
