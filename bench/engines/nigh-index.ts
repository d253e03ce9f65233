// nigh's indexes that stay: built, then searched at an effort. Vectors are in memory, as the rivals' are.
// build: kind and its params; search: effort.
import { Cluster, Flat, Forest, Hnsw, type IndexAnswer, type KeptIndex } from 'nigh'
import { clocked, serve } from './nigh-serve.js'

const kinds = { flat: Flat, cluster: Cluster, hnsw: Hnsw, forest: Forest }
let index: KeptIndex | undefined

await serve<{ kind: keyof typeof kinds; effort?: number }, IndexAnswer>({
  async build(items, { k, metric, threads: numThreads, params: { kind, ...params } }) {
    await index?.[Symbol.asyncDispose]()
    const { result, cost } = await clocked(() => new kinds[kind]({ k, metric, numThreads, ...params }).fit(items))
    index = result
    return cost
  },
  ask(queries, { k, params: { effort } }) {
    return index!.search(queries, { k, layout: 'long', ...(effort === undefined ? {} : { effort }) })
  },
})
