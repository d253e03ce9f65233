// Queries against the segments of an index.
import type { Table } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import type { IndexFacts } from '../indexes/index-directory.ts'
import { keepOf, type Segment, sliceBits } from '../indexes/segment.ts'
import { isOfBits } from '../join/metric.ts'
import { integer } from '../join/options.ts'
import { NeighborSink } from '../merge/neighbor-sink.ts'
import {
  call,
  callNow,
  type NativeIdMatches,
  type NativeKeep,
  type NativeTable,
  type SearchOptions,
} from '../native.ts'
import { tableFromIpc } from '../table/ipc.ts'
import { checkOutput } from '../table/output.ts'
import { readVectors } from '../table/read.ts'
import { isVectors, type TableInput } from '../table/source.ts'
import type { Effort, IndexParams } from './index-params.ts'
import { requireSameVectors } from './join-tables.ts'

export interface IndexSearchOptions extends EngineCall {
  /** Neighbors of each query; fewer come back where there are fewer. */
  k?: number | undefined
  /** How much is searched: a recall, or a number in the unit of the kind. */
  effort?: Effort | undefined
  /** Only neighbors at this distance or nearer. */
  maxDistance?: number | undefined
  /** Only items for which an SQL condition on their columns is true. */
  filter?: string | undefined
  /** Only these rows: a bit for each row of the index, in the order in which items were added, the first in the lowest of the first byte. */
  rows?: Uint8Array | undefined
  /** Leave out the item that has the query's own id. Default false. */
  excludeSelf?: boolean | undefined
  /** `nested`: a list of neighbors a query; `long`: a row a pair. Default `nested`. */
  layout?: 'nested' | 'long' | undefined
  /** Item columns to carry into the neighbors. */
  columns?: readonly string[] | undefined
  /** Columns of the queries: all in the nested layout, none in the long one, if absent. */
  queryColumns?: readonly string[] | undefined
  queryIdCol?: string | undefined
  queryFeaturesCol?: string | undefined
  /** Write the result there instead of giving it back. */
  to?: string | undefined
  mode?: 'error' | 'overwrite' | 'append' | undefined
}

/** What a search gave. */
export interface IndexAnswer {
  /** The table, unless it was written to a path. */
  table(): Table
  numQueries: number
  numNeighbors: number
  /** What was searched with; undefined where the index is exact. */
  effort: number | undefined
  path: string | undefined
}

/** What is searched. */
export interface IndexItems {
  segments: readonly Segment[]
  /** Ids and columns of all segments. */
  all: NativeTable
  facts: IndexFacts
  params: IndexParams
  /** Of an index in partitions: the queries that see each segment, ascending. Without it each sees all of them. */
  seen?: readonly Uint32Array[] | undefined
}

/** Queries whose neighbors are written together. */
const BLOCK_ROWS = 65_536

export async function searchIndex(
  items: IndexItems,
  input: TableInput,
  options: IndexSearchOptions & { k: number },
  effort: number | undefined,
): Promise<IndexAnswer> {
  const { facts, params } = items
  const { to, layout = 'nested', excludeSelf = false, signal, onProgress } = options
  const k = integer('k', options.k, 1, 1_000_000)
  const bytes = (items.all.numRows + 7) >> 3
  if (options.rows && options.rows.length !== bytes) {
    throw invalidOption('rows', `${options.rows.length} bytes of bits; ${items.all.numRows} rows have ${bytes}`)
  }
  if (to !== undefined) checkOutput(to, options.mode ?? 'error')
  const nested = layout === 'nested'
  const idCol = options.queryIdCol ?? (excludeSelf && !isVectors(input) ? facts.idCol : undefined)
  const featuresCol = options.queryFeaturesCol ?? facts.featuresCol
  const allColumns = nested && options.queryColumns === undefined
  const { onInvalid, threads } = params
  const reading = { bits: isOfBits(facts.metric), onInvalid, threads, side: 'query', allColumns }
  const columns = [...(options.queryColumns ?? [])]
  const onRead = (progress: { done: number; total: number }) => onProgress?.({ stage: 'read', ...progress })
  const queries = await readVectors(input, { ...reading, idCol, featuresCol, columns }, { signal, onProgress: onRead })
  let matches: NativeIdMatches | undefined
  const keeps: (NativeKeep | undefined)[] = []
  try {
    requireSameVectors(queries, { numRows: items.all.numRows, ...facts, isOpen: false }, facts.metric)
    const carried = allColumns ? queries.columns : columns
    if (nested && carried.includes(params.predictionCol)) {
      const text = `the queries have a column "${params.predictionCol}" already: name another predictionCol, or leave theirs out`
      throw new NighError('COLUMN_CONFLICT', text)
    }
    matches = excludeSelf ? await call((native) => native.matchIds(items.all, queries), { signal }) : undefined
    let start = 0
    for (const segment of items.segments) {
      const rows = options.rows && sliceBits(options.rows, start, segment.numRows)
      keeps.push(await keepOf(segment, options.filter, { signal }, rows))
      start += segment.numRows
    }
    const sink = NeighborSink.create({ table: items.all }, queries, {
      path: to,
      layout,
      columns: options.columns ?? [],
      queryColumns: carried,
      force: options.mode === 'overwrite',
      mode: options.mode ?? 'error',
      listName: params.predictionCol,
      withoutQueryId: nested && carried.length > 0,
    })
    try {
      const limits = { k, effort, maxDistance: options.maxDistance, threads }
      const asked = { ...items, queries, keeps, matches, ...limits }
      for (let first = 0; first < queries.numRows; first += BLOCK_ROWS) {
        const count = Math.min(BLOCK_ROWS, queries.numRows - first)
        const onSearched = ({ done, total }: { done: number; total: number }) =>
          onProgress?.({
            stage: 'search',
            done: first + (total === 0 ? 0 : (done / total) * count),
            total: queries.numRows,
          })
        const found = await searchBlock(asked, first, count, { signal, onProgress: onSearched })
        await sink.write(first, found, { signal }).finally(() => found.dispose())
      }
      const written = await sink.finish({ signal })
      const { bytes } = written
      return {
        table() {
          if (!bytes) throw new NighError('INVALID_OPTION', `the result was written to ${to}: read it from there`)
          return tableFromIpc(bytes)
        },
        numQueries: queries.numRows,
        numNeighbors: written.neighbors,
        effort,
        path: to,
      }
    } finally {
      sink.dispose()
    }
  } finally {
    for (const keep of keeps) keep?.dispose()
    matches?.dispose()
    queries.dispose()
  }
}

interface Asked extends IndexItems {
  queries: NativeTable
  keeps: readonly (NativeKeep | undefined)[]
  matches: NativeIdMatches | undefined
  k: number
  effort: number | undefined
  maxDistance: number | undefined
  threads: number
}

/** The neighbors of consecutive queries, of all segments. */
async function searchBlock(
  { segments, queries, keeps, matches, seen, k, effort, maxDistance, threads }: Asked,
  first: number,
  count: number,
  options: { signal?: AbortSignal | undefined; onProgress?: (progress: { done: number; total: number }) => void },
) {
  const rows = segments.reduce((sum, { numRows }) => sum + numRows, 0)
  // As many more as have to be left out at most, and never more than there are.
  const wanted = Math.min(Math.min(k, Math.max(1, rows)) + (matches?.most ?? 0), Math.max(1, rows))
  const search: SearchOptions = {
    k: wanted,
    threads,
    ...(effort === undefined ? {} : { effort }),
    ...(maxDistance === undefined ? {} : { maxDistance }),
  }
  const find = (i: number, asked: Pick<SearchOptions, 'rows' | 'first' | 'count'>) =>
    call((_, job) => segments[i]!.native.search(queries, { ...search, ...asked }, keeps[i], job), options)
  let found: Awaited<ReturnType<typeof find>>
  if (segments.length === 1 && !seen) found = await find(0, { first, count })
  else {
    const candidates = callNow((native) => native.createCandidates(count, wanted))
    const all = Uint32Array.from({ length: count }, (_, i) => i)
    let start = 0
    for (const [i, segment] of segments.entries()) {
      const rows = seen?.[i]?.filter((row) => row >= first && row < first + count)
      if (rows?.length !== 0) {
        const part = await find(i, rows ? { rows } : { first, count })
        const places = rows ? rows.map((row) => row - first) : all
        await call(() => candidates.add(part, places, start), options).finally(() => part.dispose())
      }
      start += segment.numRows
    }
    found = callNow(() => candidates.neighbors(0, count))
  }
  if (!matches) return found
  const own = matches
  return call(() => own.withoutOwn(first, found, Math.min(k, wanted)), options).finally(() => found.dispose())
}
