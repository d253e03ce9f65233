// What nigh's own engines share: tasks from stdin, clocks, and answers as files of rows.
import { createInterface } from 'node:readline'
import type { Table } from 'apache-arrow'
import { readFloats, readRows, writeRows } from './npy.js'

interface Side {
  npy: string
  rows: number
  dim: number
}

export interface Task<Params> {
  op: 'load' | 'build' | 'search'
  items: Side
  queries: Side | null
  k: number
  metric: 'l2' | 'cosine'
  threads: number
  batch: number | null
  params: Params
  rows: string | null
  out: string
}

export interface Matrix {
  vectors: Float32Array
  dim: number
}

const matrix = ({ npy, rows, dim }: Side): Matrix => ({ vectors: readFloats(npy, rows, dim), dim })

export interface Cost {
  wall: number
  cpu: number
  peakBytes: number
}

export async function clocked<T>(work: () => Promise<T>): Promise<{ result: T; cost: Cost }> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const wall = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { result, cost: { wall, cpu: (user + system) / 1e6, peakBytes: process.resourceUsage().maxRSS * 1024 } }
}

/** An engine that builds of items once, and is asked with queries, as many at a time as the task says. */
export interface QueryEngine<Params, Answer> {
  build(items: Matrix, task: Task<Params>): Promise<Cost>
  ask(queries: Matrix, task: Task<Params>): Promise<Answer>
  /** Where each neighbor of an answer goes: the query's number in it, the rank from 0 on, the row. */
  found(answer: Answer, each: (query: number, rank: number, row: bigint) => void): void
  /** More to say of a search. */
  facts?(answers: Answer[]): object
}

/** Answers tasks until stdin ends. */
export async function serve<Params, Answer>(engine: QueryEngine<Params, Answer>): Promise<void> {
  let loaded: Task<Params>
  let items: Matrix
  let queries: Matrix
  const answer = {
    load(task: Task<Params>) {
      if (!task.queries) throw new Error('this engine answers queries; a self join is for nigh')
      loaded = task
      items = matrix(task.items)
      queries = matrix(task.queries)
      return {}
    },
    build: ({ params }: Task<Params>) => engine.build(items, { ...loaded, params }),
    async search({ out, rows, params }: Task<Params>) {
      const { k, batch } = loaded
      const asked = { ...loaded, params }
      const { vectors, dim } = rows === null || rows === undefined ? queries : taken(readRows(rows), queries)
      const total = vectors.length / dim
      const step = batch ?? total
      const starts = Array.from({ length: Math.ceil(total / step) }, (_, i) => i * step)
      const { result, cost } = await clocked(async () => {
        const answers: Answer[] = []
        for (const at of starts) {
          const some = { vectors: vectors.subarray(at * dim, (at + step) * dim), dim }
          answers.push(await engine.ask(some, asked))
        }
        return answers
      })
      const found = new BigInt64Array(total * k).fill(-1n)
      result.forEach((one, i) => {
        engine.found(one, (query, rank, row) => {
          found[(starts[i]! + query) * k + rank] = row
        })
      })
      writeRows(out, found, k)
      return { ...cost, calls: starts.length, ...engine.facts?.(result) }
    },
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const task = JSON.parse(line) as Task<Params>
    const said = await Promise.resolve(task)
      .then((request) => answer[request.op](request))
      .catch((error: Error) => ({ error: error.message }))
    console.log(JSON.stringify(said))
  }
}

/** The neighbors of a table in the long layout, whose queries are numbered. */
export function ofTable(table: Table, each: (query: number, rank: number, row: bigint) => void): void {
  for (const batch of table.batches) {
    const [query, rank, neighbor] = ['query_id', 'rank', 'neighbor_id'].map((name) => batch.getChild(name)!)
    for (let j = 0; j < batch.numRows; j++) {
      each(Number(query!.get(j)), Number(rank!.get(j)) - 1, BigInt(neighbor!.get(j)))
    }
  }
}

function taken(rows: readonly number[], { vectors, dim }: Matrix): Matrix {
  const some = new Float32Array(rows.length * dim)
  rows.forEach((row, i) => {
    some.set(vectors.subarray(row * dim, (row + 1) * dim), i * dim)
  })
  return { vectors: some, dim }
}
