// What every engine is told and tells.
import type { StageName } from '../join/plan.ts'

/** How far a stage is; `total` is 0 while it is unknown. */
export interface ProgressEvent {
  stage: StageName | 'build' | 'search' | 'verify' | 'sample' | 'truth'
  /** Default rows. */
  unit?: 'rows' | 'tasks' | undefined
  done: number
  total: number
}

export interface EngineCall {
  signal?: AbortSignal | undefined
  onProgress?: ((event: ProgressEvent) => void) | undefined
}

/** Wall time of each stage so far. */
export class StageClock {
  readonly seconds: Record<StageName, number> = { read: 0, cluster: 0, tune: 0, join: 0, write: 0 }

  async time<T>(stage: StageName, work: () => Promise<T>): Promise<T> {
    const start = performance.now()
    try {
      return await work()
    } finally {
      this.seconds[stage] += (performance.now() - start) / 1000
    }
  }
}
