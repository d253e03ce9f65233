// Candidates of a slice of queries, from every part of the items, to the k nearest: by (distance, row), no candidate lost, none twice.
import type { CandidateBlock } from './candidate-block.ts'

export interface Merged {
  k: number
  /** Queries that some part had, ascending places from the first row of the slice. */
  present: Uint32Array
  /** Of these. */
  counts: Uint32Array
  /** Places among the items of all blocks, one block after the other; k a query. */
  places: Uint32Array
  rows: Float64Array
  distances: Float32Array
}

/** An item that came from two parts has the same distance in both, but for its last bits. */
const SAME_DISTANCE = 1e-4

/** Merges blocks of queries whose rows are `first` and the `numRows` from there on. `mayRepeat`: two blocks may have the same item. */
export function mergeCandidates(
  blocks: readonly CandidateBlock[],
  { first, numRows, k, mayRepeat }: { first: number; numRows: number; k: number; mayRepeat: boolean },
): Merged {
  const seen = new Uint8Array(numRows)
  const counts = new Uint32Array(numRows)
  const places = new Uint32Array(numRows * k)
  const rows = new Float64Array(numRows * k)
  const distances = new Float32Array(numRows * k)
  const next = { places: new Uint32Array(k), rows: new Float64Array(k), distances: new Float32Array(k) }
  let offset = 0
  for (const block of blocks) {
    let from = 0
    for (let q = 0; q < block.queries.length; q++) {
      const query = block.queries[q]! - first
      const end = from + block.counts[q]!
      const start = query * k
      seen[query] = 1
      let [i, j, n] = [0, from, 0]
      const held = counts[query]!
      while (n < k && (i < held || j < end)) {
        const row = j < end ? block.itemRows[block.items[j]!]! : 0
        const takesHeld =
          j >= end ||
          (i < held &&
            (distances[start + i]! < block.distances[j]! ||
              (distances[start + i] === block.distances[j] && rows[start + i]! <= row)))
        const [distance, itemRow, place] = takesHeld
          ? [distances[start + i]!, rows[start + i]!, places[start + i]!]
          : [block.distances[j]!, row, offset + block.items[j]!]
        if (takesHeld) i++
        else j++
        if (mayRepeat && isThere(next, n, itemRow, distance)) continue
        next.places[n] = place
        next.rows[n] = itemRow
        next.distances[n++] = distance
      }
      places.set(next.places.subarray(0, n), start)
      rows.set(next.rows.subarray(0, n), start)
      distances.set(next.distances.subarray(0, n), start)
      counts[query] = n
      from = end
    }
    offset += block.itemRows.length
  }
  const present = Uint32Array.from(indicesOf(seen))
  if (present.length === numRows) return { k, present, counts, places, rows, distances }
  const kept = <T extends Uint32Array | Float32Array | Float64Array>(all: T, width: number, out: T): T => {
    for (const [i, query] of present.entries()) out.set(all.subarray(query * width, (query + 1) * width), i * width)
    return out
  }
  const n = present.length
  return {
    k,
    present,
    counts: kept(counts, 1, new Uint32Array(n)),
    places: kept(places, k, new Uint32Array(n * k)),
    rows: kept(rows, k, new Float64Array(n * k)),
    distances: kept(distances, k, new Float32Array(n * k)),
  }
}

function isThere(
  { rows, distances }: { rows: Float64Array; distances: Float32Array },
  count: number,
  row: number,
  distance: number,
): boolean {
  const least = distance - Math.abs(distance) * SAME_DISTANCE - 1e-30
  for (let i = count - 1; i >= 0 && distances[i]! >= least; i--) if (rows[i] === row) return true
  return false
}

function indicesOf(seen: Uint8Array): number[] {
  const out: number[] = []
  for (const [i, is] of seen.entries()) if (is) out.push(i)
  return out
}
