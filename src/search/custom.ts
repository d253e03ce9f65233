// Search by a distance that is a JavaScript function: every query against every item, in this thread.
import { setImmediate } from 'node:timers/promises'
import { invalidOption } from '../errors.ts'
import { Rows } from '../indexes/rows.ts'
import { type CallOptions, callNow, type DistanceFunction, type NativeNeighbors, throwIfAborted } from '../native.ts'
import type { Ask } from './search.ts'

/** Milliseconds after which others get their turn. */
const TURN_MS = 20

/** The k nearest items of each query by (distance rounded to float32, row), as every search gives them. */
export async function customSearch(
  items: Rows,
  distance: DistanceFunction,
  ask: Ask,
  { signal, onProgress }: CallOptions,
): Promise<NativeNeighbors> {
  const rows = askingRows(ask, ask.queries?.numRows ?? items.numRows)
  const { k } = ask
  const found = {
    counts: new Uint32Array(rows.length),
    rows: new Uint32Array(rows.length * k),
    distances: new Float32Array(rows.length * k),
  }
  const queries = ask.queries ? queriesOf(ask.queries, rows) : (row: number) => items.row(row)
  let turn = performance.now()
  for (const [i, row] of rows.entries()) {
    if (performance.now() - turn > TURN_MS) {
      onProgress?.({ done: i, total: rows.length })
      await setImmediate()
      throwIfAborted(signal)
      turn = performance.now()
    }
    const leftOut = ask.queries === undefined && !ask.includeSelf ? row : -1
    const best = nearest(items, distance, queries(row, i), row, leftOut, k, ask.maxDistance)
    found.counts[i] = best.rows.length
    found.rows.set(best.rows, i * k)
    found.distances.set(best.distances, i * k)
  }
  onProgress?.({ done: rows.length, total: rows.length })
  return callNow((native) => native.newNeighbors(k, found.counts, found.rows, found.distances))
}

function askingRows({ rows }: Ask, numQueries: number): Uint32Array {
  if (rows instanceof Uint32Array) return rows
  const { first, count } = rows ?? { first: 0, count: numQueries }
  return Uint32Array.from({ length: count }, (_, i) => first + i)
}

/** The vectors of the rows that ask: read together where they are consecutive. */
function queriesOf(table: NonNullable<Ask['queries']>, rows: Uint32Array): (row: number, i: number) => Float32Array {
  const first = rows[0] ?? 0
  if (rows.length > 0 && rows[rows.length - 1] === first + rows.length - 1) {
    const read = new Rows(table, first, rows.length)
    return (_, i) => read.row(i)
  }
  return (row) => callNow(() => table.vectors(row, 1))
}

interface Best {
  rows: number[]
  distances: number[]
}

/** Ascending by distance; rows come in order, so that a later one of the same distance goes behind. */
function nearest(
  items: Rows,
  distance: DistanceFunction,
  query: Float32Array,
  queryRow: number,
  leftOut: number,
  k: number,
  maxDistance = Number.POSITIVE_INFINITY,
): Best {
  const best: Best = { rows: [], distances: [] }
  const limit = Math.fround(maxDistance)
  for (let row = 0; row < items.numRows; row++) {
    if (row === leftOut) continue
    const d = Math.fround(distance(query, items.row(row)))
    if (Number.isNaN(d)) {
      throw invalidOption('metric', `the function gave no number for query row ${queryRow} and item row ${row}`)
    }
    if (d > limit || (best.rows.length === k && d >= best.distances[k - 1]!)) continue
    const at = firstAbove(best.distances, d)
    if (best.rows.length === k) {
      best.rows.pop()
      best.distances.pop()
    }
    best.rows.splice(at, 0, row)
    best.distances.splice(at, 0, d)
  }
  return best
}

function firstAbove(sorted: number[], value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! > value) high = middle
    else low = middle + 1
  }
  return low
}
