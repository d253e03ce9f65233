// nigh's library, its items read and in their lists before the clock of the queries starts. Vectors are in memory, as the rivals' are.
// build: recall or exact; search: nothing.
import { createInterface } from 'node:readline'
import { NearestNeighbors } from 'nigh'
import { readFloats, writeRows } from './npy.js'

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
  params: { recall?: number; exact?: boolean }
  out: string
}

const matrix = ({ npy, rows, dim }: Side) => ({ vectors: readFloats(npy, rows, dim), dim })

let task: Task
let items: ReturnType<typeof matrix> | undefined
let queries: ReturnType<typeof matrix>
let model: Awaited<ReturnType<NearestNeighbors['fit']>>

async function clocked<T>(work: () => Promise<T>) {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const wall = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { result, cost: { wall, cpu: (user + system) / 1e6, peakBytes: process.resourceUsage().maxRSS * 1024 } }
}

async function build({ params }: Task) {
  const { k, metric, threads } = task
  const estimator = new NearestNeighbors({ k, metric, threads, layout: 'long', ...params })
  const { result, cost } = await clocked(() => estimator.fit(items!))
  model = result
  items = undefined
  return cost
}

async function search({ out }: Task) {
  const { k, batch } = task
  const { vectors, dim } = queries
  const total = vectors.length / dim
  const step = batch ?? total
  const found = new BigInt64Array(total * k).fill(-1n)
  const starts = Array.from({ length: Math.ceil(total / step) }, (_, i) => i * step)
  const { result, cost } = await clocked(async () => {
    const answers = []
    for (const at of starts) {
      answers.push(await model.join({ vectors: vectors.subarray(at * dim, (at + step) * dim), dim }))
    }
    return answers
  })
  const stages: Record<string, number> = {}
  result.forEach((answer, i) => {
    for (const [stage, seconds] of Object.entries(answer.report.seconds)) {
      stages[stage] = (stages[stage] ?? 0) + seconds
    }
    for (const batch of answer.table().batches) {
      const [query, rank, neighbor] = ['query_id', 'rank', 'neighbor_id'].map((name) => batch.getChild(name)!)
      for (let j = 0; j < batch.numRows; j++) {
        const row = starts[i]! + Number(query!.get(j))
        found[row * k + Number(rank!.get(j)) - 1] = BigInt(neighbor!.get(j))
      }
    }
  })
  writeRows(out, found, k)
  const { method, precision, level, effort } = result[0]!.report.plan
  return { ...cost, calls: starts.length, stages, plan: { method, precision, level, effort } }
}

function load(asked: Task) {
  if (!asked.queries) throw new Error('nigh-prebuilt answers queries; a self join is for nigh')
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
