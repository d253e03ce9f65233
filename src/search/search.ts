import type { ItemIndex } from '../indexes/item-index.ts'
import {
  type CallOptions,
  call,
  type NativeNeighbors,
  type NativeTable,
  type Precision,
  type SearchOptions,
} from '../native.ts'
import { customSearch } from './custom.ts'

/** How to search: every item, or the nearest lists. */
export type Method = { method: 'exact'; precision: Precision } | { method: 'cluster'; nprobe: number; rescore: number }

/** Which queries ask, and for what. */
export interface Ask {
  /** Undefined in a self join: the items ask. */
  queries: NativeTable | undefined
  /** All of them, some rows, or a range. */
  rows?: Uint32Array | { first: number; count: number } | undefined
  k: number
  maxDistance: number | undefined
  includeSelf: boolean
  threads: number
}

/** One native call for a batch of queries. The answer to a query does not depend on the others in its batch. */
export function search(index: ItemIndex, ask: Ask, method: Method, options: CallOptions): Promise<NativeNeighbors> {
  if (index.custom) return customSearch(index.custom.rows, index.custom.distance, ask, options)
  const { rows, maxDistance } = ask
  const common: SearchOptions = {
    k: ask.k,
    includeSelf: ask.includeSelf,
    threads: ask.threads,
    ...(maxDistance === undefined ? {} : { maxDistance }),
    ...(rows === undefined ? {} : rows instanceof Uint32Array ? { rows } : rows),
  }
  if (method.method === 'exact') {
    const exact = { ...common, precision: method.precision }
    return call((native, job) => native.exactSearch(index.items, ask.queries, exact, job), options)
  }
  const { clusters } = index
  if (!clusters) throw new Error('a cluster search before the items were clustered')
  const probing = { ...common, nprobe: method.nprobe, rescore: method.rescore }
  return call((native, job) => native.clusterSearch(clusters, index.items, ask.queries, probing, job), options)
}
