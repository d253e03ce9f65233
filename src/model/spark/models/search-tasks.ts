// Tasks of transform: a block of queries against some segments, and the answers of all segments to a block made one.
import { createHash } from 'node:crypto'
import type { Table } from 'apache-arrow'
import { NighError } from '../../../errors.ts'
import { type IndexFacts, openSegment, type SegmentFacts } from '../../../indexes/index-directory.ts'
import type { Segment } from '../../../indexes/segment.ts'
import { call } from '../../../native.ts'
import { tableToIpc } from '../../../table/ipc.ts'
import { columnNotFound, columnsOf, selected } from '../../../table/schema.ts'
import type { IndexParams } from '../../index-params.ts'
import { type IndexSearchOptions, searchIndex } from '../../index-search.ts'
import { numbersOf } from '../control-rows.ts'
import { type Piece, pieceRow, piecesOf } from './blocks.ts'
import { textHash } from './build-tasks.ts'
import { mergeAnswers } from './merge.ts'
import { seenPartitions } from './partition-values.ts'
import { type Files, type RowBlock, readBlock } from './source.ts'

/** What is asked of the segments. */
export interface Asking {
  path: string
  facts: IndexFacts
  params: IndexParams
  /** Segments that are searched together. */
  groups: SegmentFacts[][]
  effort: number | undefined
  search: Pick<
    IndexSearchOptions,
    'maxDistance' | 'filter' | 'excludeSelf' | 'columns' | 'queryIdCol' | 'queryFeaturesCol'
  >
  /** Columns of the queries that a search needs. */
  needed: string[]
}

/** Queries that are searched, and answered, together. */
const BLOCK_ROWS = 65_536

/** Blocks of files against groups of segments: a control row for each of both. */
export async function* searchFiles(
  control: AsyncIterable<Table>,
  stage: Asking & { files: Files; blocks: RowBlock[] },
): AsyncGenerator<Table> {
  const { files, blocks, groups, needed } = stage
  for await (const number of numbersOf(control)) {
    const [block, group] = [Math.floor(number / groups.length), number % groups.length]
    const queries = await readBlock(files, blocks[block]!, group === 0 ? undefined : needed)
    for (const [i, part] of parts(queries).entries()) {
      const answer = await answerOf(part, group, stage)
      yield groups.length === 1 ? answer : answerPiece(`${block}-${i}`, group, answer)
    }
  }
}

/** Queries that Spark has, against all segments at once. */
export async function* searchRows(queries: AsyncIterable<Table>, stage: Asking): AsyncGenerator<Table> {
  for await (const table of queries) yield await answerOf(table, 0, stage)
}

/** Queries that Spark has, once for each group of segments. A block is called by its content: others, if Spark works them out again, are others. */
export async function* packQueries(
  queries: AsyncIterable<Table>,
  { groups, needed }: Pick<Asking, 'groups' | 'needed'>,
): AsyncGenerator<Table> {
  let place = 0
  for await (const table of queries) {
    const hash = createHash('sha256').update(tableToIpc(table)).digest('hex').slice(0, 32)
    const name = `${process.env.NIGH_PARTITION}-${place++}-${hash}`
    const narrow = withColumns(table, needed)
    for (const group of groups.keys()) {
      const own = textHash(`${name}/${group}`)
      yield pieceRow({ key: own, name, source: group, place: 0, table: group === 0 ? table : narrow })
    }
  }
}

/** Such blocks against the group they came for. */
export async function* searchPieces(pieces: AsyncIterable<Table>, stage: Asking): AsyncGenerator<Table> {
  for await (const { name, source: group, table } of piecesOf(pieces)) {
    yield answerPiece(name!, group, await answerOf(table, group, stage))
  }
}

/** The answers of all groups to each block as one. They come in order. */
export async function* mergePieces(
  pieces: AsyncIterable<Table>,
  { numGroups, k, predictionCol }: { numGroups: number; k: number; predictionCol: string },
): AsyncGenerator<Table> {
  let block: Piece[] = []
  for await (const piece of piecesOf(pieces)) {
    if (block.length > 0 && block[0]!.name !== piece.name) throw incomplete(block[0]!.name!, block.length)
    block.push(piece)
    if (block.length < numGroups) continue
    yield await mergeAnswers(
      block.map(({ table }) => table),
      predictionCol,
      k,
    )
    block = []
  }
  if (block.length > 0) throw incomplete(block[0]!.name!, block.length)
}

/** What Spark worked out twice, and differently, does not become an answer. */
function incomplete(name: string, numGroups: number): NighError {
  const message = `block ${name} of the queries has the answers of ${numGroups} groups of shards alone: the rows of the queries changed while Spark worked them out again`
  return new NighError('SPARK_FAILED', message)
}

const answerPiece = (name: string, group: number, table: Table): Table =>
  pieceRow({ key: textHash(name), name, source: group, place: 0, table })

function parts(table: Table): Table[] {
  const all: Table[] = []
  for (let first = 0; first < table.numRows; first += BLOCK_ROWS) all.push(table.slice(first, first + BLOCK_ROWS))
  return all
}

function withColumns(table: Table, columns: readonly string[]): Table {
  const schema = selected(table.schema, columns)
  return columnsOf(
    table,
    schema,
    columns.map((name) => table.schema.names.indexOf(name)),
  )
}

const opened = new Map<string, Promise<Segment>>()

/** Segments are mapped once a process. */
function segmentOf(path: string, at: SegmentFacts, facts: IndexFacts): Promise<Segment> {
  const name = `${path}/${at.index.name}/${at.deleted?.name}`
  let segment = opened.get(name)
  if (!segment) {
    segment = openSegment(path, at, facts, {})
    opened.set(name, segment)
  }
  return segment
}

/** The neighbors of queries in a group of segments: of the first group with all columns of the queries, of others by themselves. */
async function answerOf(queries: Table, group: number, stage: Asking): Promise<Table> {
  const { path, facts, params, groups, effort, search } = stage
  const seeing = seenBy(queries, groups[group]!, facts)
  // The ids of one segment are needed where no query sees any.
  const chosen = groups[group]!.filter((_, i) => !seeing || i === 0 || seeing[i]!.length > 0)
  const seen = seeing?.filter((rows, i) => i === 0 || rows.length > 0)
  const segments: Segment[] = []
  for (const at of chosen) segments.push(await segmentOf(path, at, facts))
  const all = await call((native) => native.concatItemColumns(segments.map(({ columns }) => columns)), {})
  try {
    const asked = { ...search, k: params.k, ...(group === 0 ? {} : { queryColumns: [] }) }
    // The rows that see a segment are counted before any is dropped.
    const reading: IndexParams = seen ? { ...params, onInvalid: 'fail' } : params
    const items = { segments, all, facts, params: reading, seen }
    return (await searchIndex(items, queries, asked, effort)).table()
  } finally {
    all.dispose()
  }
}

/** The queries that see each segment, ascending; undefined where all see all. */
function seenBy(queries: Table, group: readonly SegmentFacts[], facts: IndexFacts): Uint32Array[] | undefined {
  const { queryPartitionsCol } = facts
  if (queryPartitionsCol === undefined) return undefined
  const column = queries.getChild(queryPartitionsCol)
  if (!column) throw columnNotFound(queries.schema, queryPartitionsCol)
  const rows = new Map<string, number[]>(group.map(({ partition }) => [partition!, []]))
  for (const [row, partitions] of seenPartitions(column, queryPartitionsCol).entries()) {
    for (const partition of new Set(partitions)) rows.get(partition)?.push(row)
  }
  return group.map(({ partition }) => Uint32Array.from(rows.get(partition!)!))
}
