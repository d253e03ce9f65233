// nigh's indexes that stay: built, then searched at an effort. Vectors are in memory, as the rivals' are. One query at a time is asked
// as a service would ask it, without tables.
// build: kind and its params; search: effort.
import { Cluster, Flat, Forest, Hnsw, type IndexAnswer, type KeptIndex, type NearestItems } from 'nigh'
import { clocked, ofTable, serve } from './nigh-serve.js'

const kinds = { flat: Flat, cluster: Cluster, hnsw: Hnsw, forest: Forest }
let index: KeptIndex | undefined

await serve<{ kind: keyof typeof kinds; effort?: number }, IndexAnswer | NearestItems>({
  async build(items, { k, metric, threads: numThreads, params: { kind, ...params } }) {
    await index?.[Symbol.asyncDispose]()
    const { result, cost } = await clocked(() => new kinds[kind]({ k, metric, numThreads, ...params }).fit(items))
    index = result
    const total = (name: string) => index!.stats().reduce((sum, stats) => sum + (stats[name] ?? 0), 0)
    const codeBytes = total('codeBytes')
    return codeBytes > 0 ? { ...cost, codeBytes: codeBytes / total('numRows') } : cost
  },
  ask(queries, { k, batch, params: { effort } }) {
    const options = { k, ...(effort === undefined ? {} : { effort }) }
    if (batch === 1) return index!.nearest(queries.vectors, options)
    return index!.search(queries, { ...options, layout: 'long' })
  },
  found(answer, each) {
    if ('table' in answer) ofTable(answer.table(), each)
    else for (const [rank, id] of answer.ids.entries()) each(0, rank, id as bigint)
  },
})
