// nigh from TypeScript: a join in one call, and a model that is asked more than once.
//
//     npm run build && npx tsc -b && node .build/examples/library/main.js
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { knnJoin, NearestNeighbors } from 'nigh'

// Plain vectors: a row after the other. Paths, Arrow tables and Arrow IPC bytes do as well.
const dim = 8
const items = { ids: names('item', 20_000), vectors: randomVectors(20_000, 1), dim }
const queries = { ids: names('query', 500), vectors: randomVectors(500, 2), dim }

// One call. Without `to` the neighbors come back as an Arrow table.
const result = await knnJoin(queries, items, { k: 3, metric: 'cosine', recall: 0.95 })
const { recall, seconds } = result.report
console.log(
  `${result.report.rows.queries} queries in ${seconds.total.toFixed(2)} s, recall ${recall.estimate.toFixed(3)}`,
)
const first = result.table().get(0)!
console.log(`${first.id}:`, ...first.neighbors.toArray().map(show))

// A model keeps the items in native memory, for several batches of queries; `await using` frees them.
const controller = new AbortController()
await using model = await new NearestNeighbors({ k: 3, metric: 'cosine', exact: true }).fit(items)
const table = await model.transform(queries, { signal: controller.signal })
console.log(`the model holds ${model.numItems} items and answered ${table.numRows} queries`)

// Streamed to a file instead, with a report.
const folder = await mkdtemp(join(tmpdir(), 'nigh-'))
try {
  const path = join(folder, 'neighbors.parquet')
  const { report } = await model.join(queries, { to: path })
  console.log(`${report.rows.neighbors} neighbors written, ${report.output.sizeBytes} bytes of Parquet`)
} finally {
  await rm(folder, { recursive: true })
}

function show({ neighbor, distance }: { neighbor: string; distance: number }): string {
  return `${neighbor} at ${distance.toFixed(4)}`
}

function names(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${kind} ${i}`)
}

function randomVectors(count: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length: count * dim }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  })
}
