// Truth: the exact neighbors of sampled queries among a part of the items, and the partitions that these are in or near.
import { readFileSync } from 'node:fs'
import type { Table } from 'apache-arrow'
import { exactPrecision } from '../../join/cost.ts'
import { call, callNow, callOn, type NativeNeighbors } from '../../native.ts'
import { type Route, Router, routeOf } from '../../partition/router.ts'
import { numbersOf } from './control-rows.ts'
import type { ReadTask, TruthStage } from './join-stage.ts'
import { packArrays, unpackArrays } from './packed-arrays.ts'
import { itemsOf, readNumbered, tableOfVectors, vectorsOf } from './read-vectors.ts'
import { readCells } from './saved-cells.ts'
import { blockTable } from './shuffle-blocks.ts'
import { numberedTables } from './table-side.ts'

/** Rows of a task come in tables: the number of each row is its table's first and its place there. */
interface Part {
  firstPlace: number
  rows: Float64Array
}

/**
 * Blocks of (counts, rows, distances, counts of routes, partitions, margins): for each sampled query the neighbors among the items of a
 * task, for each neighbor its route.
 */
export async function* truths(control: AsyncIterable<Table>, stage: TruthStage): AsyncGenerator<Table> {
  const { cells, space } = readCells(stage.cellsPath)
  const [, sample] = unpackArrays(readFileSync(stage.samplePath)) as [Float64Array, Float32Array]
  const router = await Router.create(cells, space, stage.params.threads)
  try {
    for await (const task of numbersOf(control)) {
      const block = await truthOf(stage.tasks[task]!, stage, sample, space.dim, router)
      yield blockTable({ key: task, kind: 0, at: 0, block })
    }
  } finally {
    router.dispose()
  }
}

async function truthOf(
  task: ReadTask,
  { items, queries, params, width }: TruthStage,
  sample: Float32Array,
  dim: number,
  router: Router,
): Promise<Uint8Array> {
  const numQueries = sample.length / dim
  const k = params.k + (queries === undefined ? 1 : 0)
  const asked = await tableOfVectors(sample, dim, params.threads)
  const all = Uint32Array.from({ length: numQueries }, (_, i) => i)
  const best = callNow((native) => native.createCandidates(numQueries, k))
  const routes = new Map<number, Route>()
  const parts: Part[] = []
  let place = 0
  try {
    for await (const { table } of numberedTables(items, task.first, task.count, [items.featuresCol])) {
      if (table.numRows === 0) continue
      const { native, rows } = await readNumbered(table, items, 'item', params)
      if (rows.length === 0) continue
      const vectors = vectorsOf(native)
      const searched = await itemsOf(native, params)
      try {
        const level = callNow((native) => native.cpu()).level
        const shape = { queries: numQueries, items: rows.length, dim, self: false }
        const { threads, maxDistance } = params
        const asking = {
          k,
          threads,
          precision: exactPrecision(shape, k, level),
          ...(maxDistance !== undefined && { maxDistance }),
        }
        const found = await call((native, job) => native.exactSearch(searched, asked, asking, job), {})
        try {
          await callOn(() => best.add(found, all, place))
          const near = [...new Set(rowsFound(found))]
          const own = new Float32Array(near.length * dim)
          for (const [i, row] of near.entries()) own.set(vectors.subarray(row * dim, (row + 1) * dim), i * dim)
          const at = await router.route(own, 'item', { margin: Number.POSITIVE_INFINITY, width })
          for (const [i, row] of near.entries()) routes.set(place + row, routeOf(at, i))
        } finally {
          found.dispose()
        }
      } finally {
        searched.dispose()
        native.dispose()
      }
      parts.push({ firstPlace: place, rows })
      place += rows.length
    }
    return packed(
      callNow(() => best.neighbors(0, numQueries)),
      parts,
      routes,
      width,
    )
  } finally {
    asked.dispose()
  }
}

function* rowsFound({ k, counts, rows }: NativeNeighbors): Generator<number> {
  for (const [query, count] of counts.entries()) {
    for (let j = query * k; j < query * k + count; j++) yield rows[j]!
  }
}

function packed(found: NativeNeighbors, parts: Part[], routes: Map<number, Route>, width: number): Uint8Array {
  const { k, counts, rows, distances } = found
  const total = counts.reduce((sum, count) => sum + count, 0)
  const out = {
    rows: new Float64Array(total),
    distances: new Float32Array(total),
    near: new Uint32Array(total),
    partitions: new Uint32Array(total * width),
    margins: new Float32Array(total * width),
  }
  let at = 0
  for (const [query, count] of counts.entries()) {
    for (let j = query * k; j < query * k + count; j++, at++) {
      const place = rows[j]!
      const part = parts.findLast(({ firstPlace }) => firstPlace <= place)!
      out.rows[at] = part.rows[place - part.firstPlace]!
      out.distances[at] = distances[j]!
      const { partitions, margins } = routes.get(place)!
      out.near[at] = partitions.length
      out.partitions.set(partitions, at * width)
      out.margins.set(margins, at * width)
    }
  }
  found.dispose()
  return packArrays([counts, out.rows, out.distances, out.near, out.partitions, out.margins])
}
