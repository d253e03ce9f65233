// nigh's indexes that stay: built, then searched at an effort. Vectors are in memory, as the rivals' are.
// build: kind and its params; search: effort.
import { createInterface } from 'node:readline'
import { Cluster, Flat, Forest, Hnsw, type KeptIndex } from 'nigh'
import { readFloats, readRows, writeRows } from './npy.js'

interface Side {
  npy: string
  rows: number
  dim: number
}

interface Task {
  op: 'load' | 'build' | 'search'
  items: Side
  queries: Side | null
  k: number
  metric: 'l2' | 'cosine'
  threads: number
  batch: number | null
  params: { kind: keyof typeof kinds; effort?: number }
  rows: string | null
  out: string
}

const kinds = { flat: Flat, cluster: Cluster, hnsw: Hnsw, forest: Forest }
const matrix = ({ npy, rows, dim }: Side) => ({ vectors: readFloats(npy, rows, dim), dim })

let task: Task
let items: ReturnType<typeof matrix>
let queries: ReturnType<typeof matrix>
let index: KeptIndex | undefined

async function clocked<T>(work: () => Promise<T>) {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const wall = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { result, cost: { wall, cpu: (user + system) / 1e6, peakBytes: process.resourceUsage().maxRSS * 1024 } }
}

async function build({ params: { kind, ...params } }: Task) {
  const { k, metric, threads: numThreads } = task
  await index?.[Symbol.asyncDispose]()
  const { result, cost } = await clocked(() => new kinds[kind]({ k, metric, numThreads, ...params }).fit(items))
  index = result
  return cost
}

async function search({ out, rows, params: { effort } }: Task) {
  const { k, batch } = task
  const { dim } = queries
  const vectors = rows === null ? queries.vectors : taken(readRows(rows), queries)
  const total = vectors.length / dim
  const step = batch ?? total
  const found = new BigInt64Array(total * k).fill(-1n)
  const starts = Array.from({ length: Math.ceil(total / step) }, (_, i) => i * step)
  const options = { k, layout: 'long' as const, ...(effort === undefined ? {} : { effort }) }
  const { result, cost } = await clocked(async () => {
    const answers = []
    for (const at of starts) {
      answers.push(await index!.search({ vectors: vectors.subarray(at * dim, (at + step) * dim), dim }, options))
    }
    return answers
  })
  result.forEach((answer, i) => {
    for (const batch of answer.table().batches) {
      const [query, rank, neighbor] = ['query_id', 'rank', 'neighbor_id'].map((name) => batch.getChild(name)!)
      for (let j = 0; j < batch.numRows; j++) {
        const row = starts[i]! + Number(query!.get(j))
        found[row * k + Number(rank!.get(j)) - 1] = BigInt(neighbor!.get(j))
      }
    }
  })
  writeRows(out, found, k)
  return { ...cost, calls: starts.length }
}

function taken(rows: readonly number[], { vectors, dim }: ReturnType<typeof matrix>): Float32Array {
  const some = new Float32Array(rows.length * dim)
  rows.forEach((row, i) => {
    some.set(vectors.subarray(row * dim, (row + 1) * dim), i * dim)
  })
  return some
}

function load(asked: Task) {
  if (!asked.queries) throw new Error('an index answers queries; a self join is for nigh')
  task = asked
  items = matrix(asked.items)
  queries = matrix(asked.queries)
  return {}
}

const answers = { load, build, search }
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as Task
  const answer = await Promise.resolve(asked)
    .then((request) => answers[request.op](request))
    .catch((error: Error) => ({ error: error.message }))
  console.log(JSON.stringify(answer))
}
