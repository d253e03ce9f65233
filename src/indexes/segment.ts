// Segments: items that were indexed together, of which some may be deleted since.
import { type CallOptions, call, type Metric, type NativeIndex, type NativeKeep, type NativeTable } from '../native.ts'
import { type KindParams, nativeKind } from './kinds.ts'

/** A file of a directory. */
export interface FileFacts {
  name: string
  sizeBytes: number
  /** Of small files; index files have checksums of their own. */
  sha256?: string | undefined
}

export interface Segment {
  native: NativeIndex
  /** Ids and columns, without vectors. */
  columns: NativeTable
  numRows: number
  /** A bit for each row that was deleted, the first in the lowest of the first byte. */
  deleted: Uint8Array | undefined
  numDeleted: number
  /** Its files in the directory that it was read from or written to. */
  files: { index: FileFacts; columns: FileFacts } | undefined
  /** Of an index in partitions: the one that its items are of, as text. */
  partition?: string | undefined
}

/** Builds a segment of a table, which it takes. Where its first rows are those of `base` that are not deleted, it may grow out of that. */
export async function buildSegment(
  table: NativeTable,
  metric: Metric,
  params: KindParams,
  threads: number,
  options: CallOptions,
  base?: Segment,
): Promise<Segment> {
  const { numRows } = table
  const kind = nativeKind(params, numRows)
  const live = base && liveRows(base)
  const native = await call((addon, job) => {
    if (!base) return addon.buildIndex(table, metric, kind, threads, job)
    return addon.growIndex(base.native, live!, table, metric, kind, threads, job)
  }, options)
  return { native, columns: table, numRows, deleted: undefined, numDeleted: 0, files: undefined }
}

export const isDeleted = ({ deleted }: Pick<Segment, 'deleted'>, row: number): boolean =>
  deleted !== undefined && ((deleted[row >> 3]! >> (row & 7)) & 1) === 1

/** The same segment with more rows deleted. */
export function withDeleted<S extends Pick<Segment, 'deleted' | 'numRows' | 'numDeleted'>>(
  segment: S,
  rows: Iterable<number>,
): S {
  const deleted = segment.deleted ? segment.deleted.slice() : new Uint8Array((segment.numRows + 7) >> 3)
  let { numDeleted } = segment
  for (const row of rows) {
    const bit = 1 << (row & 7)
    if ((deleted[row >> 3]! & bit) === 0) numDeleted++
    deleted[row >> 3]! |= bit
  }
  return { ...segment, deleted, numDeleted }
}

/** The rows that are not deleted. */
export function liveRows(segment: Segment): Uint32Array {
  const rows = new Uint32Array(segment.numRows - segment.numDeleted)
  let count = 0
  for (let row = 0; row < segment.numRows; row++) if (!isDeleted(segment, row)) rows[count++] = row
  return rows
}

/** What a search of the segment may answer; undefined where that is everything. `rows` has a bit for each row. */
export async function keepOf(
  segment: Segment,
  filter: string | undefined,
  options: CallOptions,
  rows?: Uint8Array,
): Promise<NativeKeep | undefined> {
  if (filter === undefined && segment.numDeleted === 0 && !rows) return undefined
  const { deleted } = segment
  const kept = deleted?.map((byte, i) => ~byte & (rows?.[i] ?? 0xff)) ?? rows
  return call(() => segment.native.keep(segment.columns, filter, kept), options)
}

/** The bits of consecutive rows. */
export function sliceBits(bits: Uint8Array, first: number, count: number): Uint8Array {
  const slice = new Uint8Array((count + 7) >> 3)
  for (let i = 0; i < count; i++) {
    const row = first + i
    if (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) slice[i >> 3]! |= 1 << (i & 7)
  }
  return slice
}

/** A table of the rows that are not deleted, with their vectors. */
export function liveTable(segment: Segment, options: CallOptions): Promise<NativeTable> {
  return call(() => segment.native.takeRows(segment.columns, liveRows(segment)), options)
}

export function disposeSegment({ native, columns }: Segment): void {
  native.dispose()
  columns.dispose()
}
