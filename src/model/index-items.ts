// Tables of items on their way into an index.
import type { EngineCall } from '../engine/engine.ts'
import type { IndexFacts } from '../indexes/index-directory.ts'
import { buildSegment, type Segment } from '../indexes/segment.ts'
import { isOfBits } from '../join/metric.ts'
import { call, type NativeTable } from '../native.ts'
import { readTable } from '../table/datasets.ts'
import { readVectors } from '../table/read.ts'
import { isVectors, type TableInput } from '../table/source.ts'
import { lastOfEach } from './change-items.ts'
import type { IndexParams } from './index-params.ts'

/** A segment that is not so many times as large as the new one is built together with it. */
const MERGE_FACTOR = 2

/** Which segments stay beside new rows, and which are built together with them: the last ones, while they are small. */
export function mergedInto(segments: readonly Segment[], newRows: number): { large: Segment[]; small: Segment[] } {
  let first = segments.length
  let size = newRows
  while (first > 0) {
    const { numRows, numDeleted } = segments[first - 1]!
    if (numRows - numDeleted >= MERGE_FACTOR * size) break
    size += numRows - numDeleted
    first--
  }
  return { large: segments.slice(0, first), small: segments.slice(first) }
}

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

/** A segment of a table, which it takes, whatever happens. */
export async function building(
  table: NativeTable,
  { metric, params }: IndexFacts,
  { threads }: IndexParams,
  { signal, onProgress }: EngineCall,
): Promise<Segment> {
  const progress = (p: { done: number; total: number }) => onProgress?.({ stage: 'build', ...p })
  try {
    return await buildSegment(table, metric, params, threads, { signal, onProgress: progress })
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
