// Tables of items on their way into an index.
import type { EngineCall } from '../engine/engine.ts'
import type { IndexFacts } from '../indexes/index-directory.ts'
import type { KindParams } from '../indexes/kinds.ts'
import { buildSegment, liveTable, type Segment } from '../indexes/segment.ts'
import { isOfBits } from '../join/metric.ts'
import { call, type NativeTable } from '../native.ts'
import { readTable } from '../table/datasets.ts'
import { readVectors } from '../table/read.ts'
import { isVectors, type TableInput } from '../table/source.ts'
import { lastOfEach } from './change-items.ts'
import type { IndexParams } from './index-params.ts'

/** A segment that is not so many times as large as the new one is built together with it. */
const MERGE_FACTOR = 2
/** The same where it grows: new rows cost what they would cost by themselves, and the others are copied. */
const GROW_FACTOR = 32
/** A graph from which so many rows were deleted is mended: walks pass through what is gone. */
const MOST_DELETED = 0.2

/** Which segments stay beside new rows, and which become one with them: the last ones, while they are small. */
export function mergedInto(
  segments: readonly Segment[],
  newRows: number,
  { kind }: KindParams,
): { large: Segment[]; small: Segment[] } {
  const factor = kind === 'hnsw' ? GROW_FACTOR : MERGE_FACTOR
  let first = segments.length
  let size = newRows
  while (first > 0) {
    const { numRows, numDeleted } = segments[first - 1]!
    if (numRows - numDeleted >= factor * size) break
    size += numRows - numDeleted
    first--
  }
  return { large: segments.slice(0, first), small: segments.slice(first) }
}

/** Whether a segment is better off without its deleted rows, before there is anything to add. */
export const isWorn = ({ numRows, numDeleted }: Segment, { kind }: KindParams): boolean =>
  kind === 'hnsw' && numDeleted > MOST_DELETED * numRows

export async function readItems(
  items: TableInput,
  { metric, idCol, featuresCol, columns, onInvalid, threads }: IndexParams,
  { signal, onProgress }: EngineCall,
): Promise<NativeTable> {
  const carried = columns ?? (await otherColumns(items, idCol ?? 'id', featuresCol ?? 'vector', signal))
  const reading = { idCol, featuresCol, bits: isOfBits(metric), columns: carried, onInvalid, threads, side: 'item' }
  const progress = (p: { done: number; total: number }) => onProgress?.({ stage: 'read', ...p })
  return readVectors(items, reading, { signal, onProgress: progress })
}

/** The columns that are neither ids nor vectors. Iterables are read once: theirs are not known before. */
async function otherColumns(
  items: TableInput,
  idCol: string,
  featuresCol: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  if (isVectors(items) || items === '-') return []
  const known = typeof items === 'string' || Array.isArray(items) || items instanceof Uint8Array || 'schema' in items
  if (!known) return []
  const schema =
    typeof items === 'object' && 'schema' in items && typeof items.schema !== 'function'
      ? items.schema
      : await (await readTable(items as string, { signal })).schema()
  return (schema?.fields ?? []).map(({ name }) => name).filter((name) => name !== idCol && name !== featuresCol)
}

/** One segment of all that is not deleted in others, and of a table behind them, which it takes. */
export async function together(
  segments: readonly Segment[],
  added: NativeTable | undefined,
  facts: IndexFacts,
  params: IndexParams,
  options: EngineCall,
): Promise<Segment> {
  const { signal } = options
  const parts = await Promise.all(segments.map((segment) => liveTable(segment, { signal })))
  const table = await concatenated(added ? [...parts, added] : parts, options)
  return building(table, facts, params, options, segments[0])
}

/** A segment of a table, which it takes, whatever happens; `base` as for {@link buildSegment}. */
export async function building(
  table: NativeTable,
  { metric, params }: IndexFacts,
  { threads }: IndexParams,
  { signal, onProgress }: EngineCall,
  base?: Segment,
): Promise<Segment> {
  const progress = (p: { done: number; total: number }) => onProgress?.({ stage: 'build', ...p })
  try {
    return await buildSegment(table, metric, params, threads, { signal, onProgress: progress }, base)
  } catch (error) {
    table.dispose()
    throw error
  }
}

/** Of rows that share an id the last. Takes the table. */
export async function lastOfEachId(table: NativeTable, { signal }: EngineCall): Promise<NativeTable> {
  const matches = await call((native) => native.matchIds(table, table), { signal })
  const rows = lastOfEach(matches.first)
  matches.dispose()
  if (rows.length === table.numRows) return table
  const taken = await call((native) => native.takeRows(table, undefined, rows), { signal })
  table.dispose()
  return taken
}

/** The rows of all tables, which it takes. */
export async function concatenated(tables: NativeTable[], { signal }: EngineCall): Promise<NativeTable> {
  const [first, ...rest] = tables as [NativeTable, ...NativeTable[]]
  let all = first
  for (const next of rest) {
    const before = all
    all = await call((native) => native.concatTables(before, next), { signal })
    before.dispose()
    next.dispose()
  }
  return all
}
