// One vector against the segments of an index: no tables, no other threads.
import type { Vector } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import type { IndexFacts } from '../indexes/index-directory.ts'
import { keepOf, type Segment } from '../indexes/segment.ts'
import { integer } from '../join/options.ts'
import { callNow, type NativeKeep, type SearchOptions } from '../native.ts'
import { tableFromIpc } from '../table/ipc.ts'
import type { Effort } from './index-params.ts'

export interface NearestOptions extends EngineCall {
  k?: number | undefined
  effort?: Effort | undefined
  maxDistance?: number | undefined
  /** Only items for which an SQL condition on their columns is true. The last few filters are kept. */
  filter?: string | undefined
}

/** Nearest first. */
export interface NearestItems {
  ids: unknown[]
  distances: number[]
}

/** Filters of a segment that are kept. */
const MOST_FILTERS = 8

/** What asking a segment once leaves for the next time. */
interface Known {
  ids: Vector
  keeps: Map<string, NativeKeep | undefined>
}

const known = new WeakMap<Segment, Known>()

function knownOf(segment: Segment): Known {
  let found = known.get(segment)
  if (!found) {
    const table = tableFromIpc(callNow((native) => native.itemColumnsIpc(segment.columns)))
    found = { ids: table.getChildAt(0)!, keeps: new Map() }
    known.set(segment, found)
  }
  return found
}

async function keepFor(segment: Segment, filter: string | undefined): Promise<NativeKeep | undefined> {
  if (filter === undefined && segment.numDeleted === 0) return undefined
  const { keeps } = knownOf(segment)
  const name = filter ?? ''
  if (!keeps.has(name)) {
    const [oldest] = keeps.keys()
    if (keeps.size >= MOST_FILTERS) keeps.delete(oldest!)
    keeps.set(name, await keepOf(segment, filter, {}))
  }
  return keeps.get(name)
}

export async function nearestItems(
  segments: readonly Segment[],
  { dim, isBits }: IndexFacts,
  vector: Float32Array,
  { k, maxDistance, filter }: NearestOptions & { k: number },
  effort: number | undefined,
): Promise<NearestItems> {
  if (isBits) throw invalidOption('vector', 'the items are bits: search with a table of bits')
  if (!(vector instanceof Float32Array)) throw invalidOption('vector', 'must be a Float32Array')
  integer('k', k, 1, 1_000_000)
  const numItems = segments.reduce((sum, { numRows }) => sum + numRows, 0)
  if (vector.length !== dim && numItems > 0) {
    throw new NighError('DIMENSION_MISMATCH', `the vector has ${vector.length} dimensions; the items have ${dim}`)
  }
  const options: SearchOptions = {
    k: Math.min(k, Math.max(1, numItems)),
    threads: 1,
    ...(effort === undefined ? {} : { effort }),
    ...(maxDistance === undefined ? {} : { maxDistance }),
  }
  const found: { id: unknown; distance: number }[] = []
  for (const segment of segments) {
    const keep = await keepFor(segment, filter)
    const { counts, rows, distances } = callNow(() => segment.native.nearest(vector, options, keep))
    const { ids } = knownOf(segment)
    for (let i = 0; i < (counts[0] ?? 0); i++) found.push({ id: ids.get(rows[i]!), distance: distances[i]! })
  }
  // Rows of earlier segments come first among equals: the sort is stable.
  if (segments.length > 1) found.sort((a, b) => a.distance - b.distance)
  const nearest = found.slice(0, k)
  return { ids: nearest.map(({ id }) => id), distances: nearest.map(({ distance }) => distance) }
}
