// Tasks of fit, append and compact: rows to the shards they are of, a segment of each shard, and the rows that others replace.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Table } from 'apache-arrow'
import {
  type IndexFacts,
  openSegment,
  type SegmentFacts,
  writeDeleted,
  writeSegment,
} from '../../../indexes/index-directory.ts'
import { disposeSegment, liveTable, withDeleted } from '../../../indexes/segment.ts'
import { call, callNow, type NativeTable } from '../../../native.ts'
import { tableFromIpc, tableToIpc } from '../../../table/ipc.ts'
import { columnNotFound } from '../../../table/schema.ts'
import { NO_ROW, rowsWhere } from '../../change-items.ts'
import { building, lastOfEachId, readItems } from '../../index-items.ts'
import type { IndexParams } from '../../index-params.ts'
import { tuneEffort } from '../../index-tune.ts'
import { numbersOf } from '../control-rows.ts'
import { sparkHash } from '../shuffle-keys.ts'
import { inParts, inPieces, type Piece, pieceRow, piecesOf, toldRow } from './blocks.ts'
import { partitionsOf } from './partition-values.ts'
import { concatTables, type Files, type RowBlock, readBlock } from './source.ts'

export interface Building {
  /** A directory for the files of segments; the client moves those that count. */
  staged: string
  params: IndexParams
  /** Of several items with one id the last counts, as where items are appended. */
  isUnique: boolean
}

/** A segment that a task made. */
export interface Built {
  segment: SegmentFacts
  /** Its place among the others. */
  order: [number, string]
  dim: number
  isBits: boolean
  idCol: string
}

export interface ItemBlocks {
  files: Files
  blocks: RowBlock[]
  columns: string[]
}

/** A segment of each block of files. */
export async function* buildBlocks(control: AsyncIterable<Table>, stage: Building & ItemBlocks): AsyncGenerator<Table> {
  for await (const block of numbersOf(control)) {
    const items = await readBlock(stage.files, stage.blocks[block]!, stage.columns)
    if (items.numRows > 0) yield toldRow(await built(items, null, [block, ''], stage))
  }
}

/** A segment of each group of pieces. */
export async function* buildPieces(pieces: AsyncIterable<Table>, stage: Building): AsyncGenerator<Table> {
  let group: Piece[] = []
  const done = async () => {
    const { key, name } = group[0]!
    const items = concatTables(group.map(({ table }) => table))
    group = []
    return toldRow(await built(items, name, [key, name ?? ''], stage))
  }
  for await (const piece of piecesOf(pieces)) {
    const [first] = group
    if (first && (first.key !== piece.key || first.name !== piece.name)) yield await done()
    group.push(piece)
  }
  if (group.length > 0) yield await done()
}

async function built(
  items: Table,
  partition: string | null,
  order: Built['order'],
  { staged, params, isUnique }: Building,
): Promise<Built> {
  let table = await readItems(items, params, {})
  if (table.generatedIds) {
    const { idCol } = table
    table.dispose()
    throw columnNotFound(items.schema, idCol)
  }
  if (isUnique) table = await lastOfEachId(table, {})
  const { dim, isBits, idCol } = table
  const facts = { metric: params.metric, params: params.kind } as IndexFacts
  const segment = { ...(await building(table, facts, params, {})), partition: partition ?? undefined }
  try {
    return { segment: await writeSegment(staged, segment, {}), order, dim, isBits, idCol }
  } finally {
    disposeSegment(segment)
  }
}

export interface Parting {
  /** Absent where Spark has the rows. */
  items: ItemBlocks | undefined
  /** The partition of an item; without it each piece goes to the next shard. */
  partitionCol: string | undefined
  /** A key for each shard. */
  keys: number[]
}

/** Rows to the shards they are of. */
export async function* partItems(input: AsyncIterable<Table>, stage: Parting): AsyncGenerator<Table> {
  const { items, partitionCol, keys } = stage
  const source = Number(process.env.NIGH_PARTITION ?? 0)
  const tables = items ? tablesOf(input, items) : input
  let place = 0
  if (partitionCol === undefined) {
    for await (const table of inPieces(tables, keys.length)) {
      yield pieceRow({ key: keys[(source + place) % keys.length]!, name: null, source, place: place++, table })
    }
    return
  }
  for await (const table of tables) {
    for await (const { name, part, sizeBytes } of byPartition(table, partitionCol)) {
      for (const some of inParts(part, sizeBytes)) {
        yield pieceRow({ key: textHash(name), name, source, place: place++, table: some })
      }
    }
  }
}

async function* tablesOf(control: AsyncIterable<Table>, { files, blocks, columns }: ItemBlocks): AsyncGenerator<Table> {
  for await (const block of numbersOf(control)) yield await readBlock(files, blocks[block]!, columns)
}

/** The rows of each partition. */
async function* byPartition(
  table: Table,
  column: string,
): AsyncGenerator<{ name: string; part: Table; sizeBytes: number }> {
  if (table.numRows === 0) return
  const rowsOf = new Map<string, number[]>()
  for (const [row, name] of partitionsOf(table.getChild(column)!, column).entries()) {
    const rows = rowsOf.get(name)
    if (rows) rows.push(row)
    else rowsOf.set(name, [row])
  }
  const ipc = tableToIpc(table)
  const all = await call((native) => native.arrowFromIpc(ipc), {})
  try {
    for (const [name, rows] of rowsOf) {
      const some = await call(() => all.take(Uint32Array.from(rows)), {})
      const part = await call(() => some.toIpc(), {}).finally(() => some.dispose())
      yield { name, part: tableFromIpc(part), sizeBytes: part.length }
    }
  } finally {
    all.dispose()
  }
}

/** A number for a text. */
export function textHash(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = sparkHash(hash ^ text.charCodeAt(i))
  return hash
}

export interface Rebalancing {
  path: string
  facts: IndexFacts
  segments: SegmentFacts[]
  /** How many live rows come before those of each segment, and how many there are in all. */
  starts: number[]
  total: number
  keys: number[]
}

/** The rows of segments that are not deleted, dealt out anew: evenly, or by their partitions. */
export async function* spreadSegments(control: AsyncIterable<Table>, stage: Rebalancing): AsyncGenerator<Table> {
  const { path, facts, segments, starts, total, keys } = stage
  for await (const source of numbersOf(control)) {
    const at = segments[source]!
    const segment = await openSegment(path, at, facts, {})
    const live = await liveTable(segment, {}).finally(() => disposeSegment(segment))
    const ipc = await call((native) => native.itemsIpc(live, facts.featuresCol), {}).finally(() => live.dispose())
    const whole = tableFromIpc(ipc)
    let place = 0
    // The first row of a shard, among all.
    const bound = (shard: number) => Math.ceil((shard * total) / keys.length)
    const first = starts[source]!
    for (let row = 0; row < whole.numRows; ) {
      const shard = Math.floor(((first + row) * keys.length) / total)
      const end = at.partition === undefined ? Math.min(whole.numRows, bound(shard + 1) - first) : whole.numRows
      const part = whole.slice(row, end)
      const key = at.partition === undefined ? keys[shard]! : textHash(at.partition)
      for (const table of inParts(part, (ipc.length * part.numRows) / whole.numRows)) {
        yield pieceRow({ key, name: at.partition ?? null, source, place: place++, table })
      }
      row = end
    }
  }
}

export interface Replacing {
  path: string
  staged: string
  dim: number
  isBits: boolean
  segments: SegmentFacts[]
  /** Of each segment, those whose ids take the places of its items. */
  newer: number[][]
  /** A file of ids that do, of all. */
  ids: string | undefined
}

/** What a segment lost. */
export interface Replaced {
  segment: number
  facts: SegmentFacts
  rows: number
}

/** Marks the items of segments whose ids others have. */
export async function* replaceIds(control: AsyncIterable<Table>, stage: Replacing): AsyncGenerator<Table> {
  const { path, staged, dim, isBits, segments, newer, ids } = stage
  const fileOf = (name: string) => (existsSync(join(staged, name)) ? join(staged, name) : join(path, name))
  const columnsIn = (file: string) => call((native) => native.readItemColumns(file, dim, isBits), {})
  for await (const segment of numbersOf(control)) {
    const facts = segments[segment]!
    const columns = await columnsIn(fileOf(facts.columns.name))
    const deleted = facts.deleted ? new Uint8Array(readFileSync(fileOf(facts.deleted.name))) : undefined
    let now = { numRows: facts.numRows, numDeleted: facts.numDeleted, deleted }
    const others = [...newer[segment]!.map((other) => fileOf(segments[other]!.columns.name)), ...(ids ? [ids] : [])]
    for (const file of others) {
      const named: NativeTable = await columnsIn(file)
      const matches = await call((native) => native.matchIds(named, columns), {}).finally(() => named.dispose())
      now = withDeleted(
        now,
        rowsWhere(matches.own, (own) => own !== NO_ROW),
      )
      matches.dispose()
    }
    columns.dispose()
    const rows = now.numDeleted - facts.numDeleted
    if (rows === 0) continue
    const bits = await writeDeleted(staged, now.deleted!)
    const told: Replaced = { segment, facts: { ...facts, deleted: bits, numDeleted: now.numDeleted }, rows }
    yield toldRow(told)
  }
}

export interface Tuning {
  path: string
  segment: SegmentFacts
  facts: IndexFacts
  k: number
  recall: number
  threads: number
}

/** The effort that reaches a recall, of one segment. */
export async function* tuneSegment(_: AsyncIterable<Table>, stage: Tuning): AsyncGenerator<Table> {
  const { path, segment: at, facts, k, recall, threads } = stage
  const segment = await openSegment(path, at, facts, {})
  try {
    const exact = callNow(() => segment.native.isExact)
    const task = { k, recall, seed: facts.params.seed, threads }
    yield toldRow(exact ? null : await tuneEffort([segment], task, {}))
  } finally {
    disposeSegment(segment)
  }
}
