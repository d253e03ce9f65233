import type { StageClock } from '../engine/engine.ts'
import type { LocalOutcome } from '../engine/local/run.ts'
import type { ItemIndex } from '../indexes/item-index.ts'
import type { JoinParams } from '../join/options.ts'
import type { JoinReport } from '../join/report.ts'
import { callNow, type NativeTable } from '../native.ts'

interface Facts {
  index: Pick<ItemIndex, 'table'>
  queries: NativeTable | undefined
  params: JoinParams
  clock: StageClock
  outcome: LocalOutcome
  path: string | undefined
  rejects: string | undefined
  duplicateItemIds: number
}

/** What a join did, for people and for `--report`. */
export function buildReport({
  index,
  queries,
  params,
  clock,
  outcome,
  path,
  rejects,
  duplicateItemIds,
}: Facts): JoinReport {
  const { plan, recall, tuning, written } = outcome
  const { seconds } = clock
  const total = Object.values(seconds).reduce((sum, s) => sum + s, 0)
  const { cpu, memory, used } = callNow((native) => ({
    cpu: native.cpu(),
    memory: native.peakMemoryBytes(),
    used: native.cpuSeconds(),
  }))
  return {
    plan,
    rows: { queries: plan.shape.queries, items: plan.shape.items, neighbors: written.neighbors },
    recall: { target: params.recall, ...recall },
    seconds: { ...seconds, total },
    cpuSeconds: used,
    peakMemoryBytes: memory,
    machine: {
      cpu: cpu.model,
      level: cpu.level,
      threads: params.threads,
      platform: `${process.platform}-${process.arch}`,
      node: process.version,
    },
    duplicateItemIds,
    rejected: { queries: queries?.rejectedRows ?? 0, items: index.table.rejectedRows, path: rejects },
    tuning,
    output: { path, sizeBytes: written.sizeBytes },
  }
}
