// Candidates of some queries from one part of the items, packed: numbers of rows, distances, and ids and columns of the items once each.
import { packArrays, unpackArrays } from './packed-arrays.ts'

export interface CandidateBlock {
  /** Row numbers of the queries, ascending. */
  queries: Float64Array
  /** Neighbors of each. */
  counts: Uint32Array
  /** One query after the other, the nearest first: places in `itemRows`. */
  items: Uint32Array
  distances: Float32Array
  itemRows: Float64Array
  /** Their ids and columns, as an Arrow IPC stream; empty where there are none. */
  columns: Uint8Array
}

export function packCandidates({ queries, counts, items, distances, itemRows, columns }: CandidateBlock): Uint8Array {
  return packArrays([queries, counts, items, distances, itemRows, columns])
}

export function unpackCandidates(bytes: Uint8Array): CandidateBlock {
  const [queries, counts, items, distances, itemRows, columns] = unpackArrays(bytes)
  return { queries, counts, items, distances, itemRows, columns } as CandidateBlock
}
