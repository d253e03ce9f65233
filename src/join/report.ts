import type { Plan } from './plan.ts'
import type { RecallEstimate } from './statistics.ts'
import type { TuneStep } from './tuner.ts'

/** What a join did. */
export interface JoinReport {
  plan: Plan
  rows: { queries: number; items: number; neighbors: number }
  /** The recall asked for, and the recall reached with its 95 % interval. */
  recall: RecallEstimate & { target: number }
  /** Wall time. */
  seconds: { read: number; cluster: number; tune: number; join: number; write: number; total: number }
  cpuSeconds: number
  peakMemoryBytes: number
  machine: { cpu: string; level: string; threads: number; platform: string; node: string }
  /** Items whose id another item has, too; undefined where the ids are row numbers. */
  duplicateItemIds: number
  /** Rows dropped for an invalid vector. */
  rejected: { queries: number; items: number; path: string | undefined }
  tuning: TuneStep[]
  output: { path: string | undefined; sizeBytes: number | undefined }
}
