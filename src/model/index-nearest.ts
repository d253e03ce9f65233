// One vector against the segments of an index: no tables, no other threads.
import type { Vector } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import type { IndexFacts } from '../indexes/index-directory.ts'
import { keepOf, type Segment } from '../indexes/segment.ts'
import { integer } from '../join/options.ts'
import { callNow, fromNative, type NativeKeep } from '../native.ts'
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
  ids: { readonly [row: number]: unknown }
  keeps: Map<string, NativeKeep | undefined>
}

const known = new WeakMap<Segment, Known>()

function knownOf(segment: Segment): Known {
  let found = known.get(segment)
  if (!found) {
    const table = tableFromIpc(callNow((native) => native.itemColumnsIpc(segment.columns)))
    found = { ids: idsOf(table.getChildAt(0)!), keeps: new Map() }
    known.set(segment, found)
  }
  return found
}

/** By row, without a look at types and parts each time. */
function idsOf(column: Vector): Known['ids'] {
  const [only, ...more] = column.data
  const { values } = only ?? {}
  const isPlain = values instanceof BigInt64Array || values instanceof Int32Array
  if (only && more.length === 0 && only.nullCount === 0 && isPlain) return values
  return column.toArray() as Known['ids']
}

/** Room for what native code finds: calls on this thread do not overlap. */
let rows = new Uint32Array()
let distances = new Float32Array()

/** Which rows of each segment a search may answer. */
export async function keepsFor(
  segments: readonly Segment[],
  filter: string | undefined,
): Promise<(NativeKeep | undefined)[]> {
  return Promise.all(segments.map((segment) => keepFor(segment, filter)))
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

/** `keeps` as {@link keepsFor} gives them; undefined where every row may be answered. */
export function nearestItems(
  segments: readonly Segment[],
  { dim, isBits }: IndexFacts,
  vector: Float32Array,
  { k, maxDistance }: { k: number; maxDistance?: number | undefined },
  effort: number | undefined,
  keeps: readonly (NativeKeep | undefined)[] | undefined,
): NearestItems {
  if (isBits) throw invalidOption('vector', 'the items are bits: search with a table of bits')
  if (!(vector instanceof Float32Array)) throw invalidOption('vector', 'must be a Float32Array')
  integer('k', k, 1, 1_000_000)
  let numItems = 0
  for (const { numRows } of segments) numItems += numRows
  if (vector.length !== dim && numItems > 0) {
    throw new NighError('DIMENSION_MISMATCH', `the vector has ${vector.length} dimensions; the items have ${dim}`)
  }
  const places = Math.min(k, Math.max(1, numItems))
  if (rows.length !== places) {
    rows = new Uint32Array(places)
    distances = new Float32Array(places)
  }
  const ids: unknown[] = []
  const far: number[] = []
  for (let s = 0; s < segments.length; s++) {
    const segment = segments[s]!
    const count = nearestOf(segment, vector, effort, maxDistance, keeps?.[s])
    const named = knownOf(segment).ids
    for (let i = 0; i < count; i++) {
      ids.push(named[rows[i]!])
      far.push(distances[i]!)
    }
  }
  if (segments.length === 1) return { ids, distances: far }
  // Rows of earlier segments come first among equals: the sort is stable.
  const order = Array.from(far.keys()).sort((a, b) => far[a]! - far[b]!)
  const nearest = order.slice(0, k)
  return { ids: nearest.map((i) => ids[i]), distances: nearest.map((i) => far[i]!) }
}

function nearestOf(
  { native }: Segment,
  vector: Float32Array,
  effort: number | undefined,
  maxDistance: number | undefined,
  keep: NativeKeep | undefined,
): number {
  try {
    return native.nearest(vector, effort, maxDistance, keep, rows, distances)
  } catch (error) {
    throw fromNative(error)
  }
}
