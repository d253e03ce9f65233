import type { Attempt, Clock, Counts } from './choose.ts'
import type { Params } from './definitions/scenario.ts'
import type { Machine } from './run/machine.ts'

/** A setting asked with a part of the queries; its time is that of all, in proportion. */
export interface Probe {
  build: Params
  search: Params
  recall: number
  /** Of the build, and of the search in proportion. */
  buildSeconds: number
  searchSeconds: number
}

export interface EngineRecord {
  engine: string
  /** Complete runs; which one is best at a target is worked out when a record is read. */
  attempts: Attempt[]
  probes: Probe[]
  /** Why there is no more: unavailable, over its limit, failed. */
  notes: string[]
}

/** One dataset at one size on so many threads. */
export interface CaseRecord {
  dataset: string
  /** Of the items' float32 bytes. */
  sha256: string
  rows: number
  dim: number
  numQueries: number
  threads: number
  /** Queries asked at a time; null is all at once. */
  batch: number | null
  truth: { sample: number; seed: number; seconds: number }
  engines: EngineRecord[]
}

export interface BenchRecord {
  format: 1
  started: string
  scenario: string
  about: string
  metric: string
  k: number
  mode: 'self' | 'queries'
  counts: Counts
  compare: 'engines' | 'settings'
  targets: number[]
  options: { limitSeconds: number; repeat: number; clock: Clock }
  machine: Machine
  cases: CaseRecord[]
}
