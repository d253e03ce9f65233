// Search: the rows of one partition to candidates of its queries.
import type { Table } from 'apache-arrow'
import { callNow } from '../../native.ts'
import { tableFromIpc, tableToIpc } from '../../table/ipc.ts'
import { packCandidates } from './candidate-block.ts'
import { CandidateTarget } from './candidate-target.ts'
import { Channel } from './channel.ts'
import { numbersOf } from './control-rows.ts'
import {
  type GridStage,
  ITEMS,
  itemColumns,
  type JoinWork,
  PART_DONE,
  type PartDone,
  querySide,
  type SearchStage,
} from './join-stage.ts'
import { SliceFinder } from './query-slices.ts'
import { rowNumbers } from './row-numbers.ts'
import { blocksIn, blockTable } from './shuffle-blocks.ts'
import { Spool } from './spool.ts'
import { numberedTables } from './table-side.ts'
import { taskParams } from './task-params.ts'
import { searchTables } from './task-search.ts'

/** Joins the items of a partition with the queries that came to it; in a self join that spreads its items, with each other. */
export async function* searchPartition(blocks: AsyncIterable<Table>, stage: SearchStage): AsyncGenerator<Table> {
  using spool = new Spool(stage.tmp)
  let part = -1
  for await (const table of blocks) {
    for (const { key, kind, at, block } of blocksIn(table)) {
      part = stage.partitionKeys.indexOf(key)
      if (block) spool.add(kind === ITEMS ? 'items' : 'queries', at, block)
    }
  }
  if (part < 0) return
  const { itemsAsk, recall } = stage
  yield* candidates({ work: stage, spool, part, itemsAsk, leavesOut: stage.queries === undefined && !itemsAsk, recall })
}

/** Joins blocks of queries with blocks of items as they are on storage. */
export async function* joinGrid(control: AsyncIterable<Table>, stage: GridStage): AsyncGenerator<Table> {
  const { queryBlocks, itemBlocks } = stage
  for await (const part of numbersOf(control)) {
    const [query, item] = [queryBlocks[Math.floor(part / itemBlocks.length)]!, itemBlocks[part % itemBlocks.length]!]
    using spool = new Spool(stage.tmp)
    for await (const { table, first } of numberedTables(stage.items, item.first, item.count)) {
      if (table.numRows > 0) spool.add('items', first, tableToIpc(table))
    }
    for await (const { table, first } of numberedTables(querySide(stage), query.first, query.count)) {
      if (table.numRows > 0) spool.add('queries', first, tableToIpc(table))
    }
    yield* candidates({
      work: stage,
      spool,
      part,
      itemsAsk: false,
      leavesOut: stage.queries === undefined,
      recall: 1,
    })
  }
}

interface Part {
  work: JoinWork
  spool: Spool
  part: number
  itemsAsk: boolean
  /** Items and queries are rows of one table, in two files: a row is no neighbor of its own. */
  leavesOut: boolean
  recall: number
}

/** Blocks of candidates, and at the end what the part tells. */
async function* candidates({ work, spool, part, itemsAsk, leavesOut, recall }: Part): AsyncGenerator<Table> {
  const { params, rangeKeys, ranges, sliceRows } = work
  const [items, queries] = [spool.files('items'), spool.files('queries')]
  const slices = new SliceFinder({ partitionRows: querySide(work).partitionRows, sliceRows, ranges })
  const send = (range: number, slice: number, block: Uint8Array) =>
    blockTable({ key: rangeKeys[range]!, kind: range, at: slice, block })
  if (items.length === 0) {
    yield* nothingFound(spool, slices, send)
    return
  }
  if (!itemsAsk && queries.length === 0) return
  const leaves = leavesOut && !params.includeSelf
  const own = taskParams(params, work, spool, recall)
  // A row meets itself among the items of its partition: one more neighbor is looked for.
  const asking = { ...own, k: params.k + (leaves ? 1 : 0), includeSelf: itemsAsk ? params.includeSelf : true }
  const channel = new Channel<Table>()
  const columns = itemColumns(work)
  const counts = { items: 0, queries: 0 }
  const searching = searchTables(
    { items, queries: itemsAsk ? undefined : queries, itemColumns: columns },
    asking,
    (itemTable, queryTable) => {
      Object.assign(counts, { items: itemTable.numRows, queries: queryTable.numRows })
      const push = (range: number, slice: number, block: Uint8Array) => channel.push(send(range, slice, block))
      return new CandidateTarget(itemTable, queryTable, { slices, k: params.k, leavesOut: leaves, columns, push })
    },
  )
  const ended = searching.then(
    (outcome) => {
      channel.end()
      return outcome
    },
    (error) => {
      channel.end(error)
      return undefined
    },
  )
  yield* channel
  const outcome = (await ended)!
  const done: PartDone = {
    part,
    ...counts,
    method: outcome.plan.method,
    recall: outcome.recall.estimate,
    receivedBytes: spool.bytes,
    cpuSeconds: callNow((native) => native.cpuSeconds()),
    peakMemoryBytes: callNow((native) => native.peakMemoryBytes()),
  }
  const key = rangeKeys[part % rangeKeys.length]!
  yield blockTable({ key, kind: PART_DONE, at: part, block: Buffer.from(JSON.stringify(done)) })
}

/** Queries that meet no items: they are there all the same. */
function* nothingFound(
  spool: Spool,
  slices: SliceFinder,
  send: (range: number, slice: number, block: Uint8Array) => Table,
): Generator<Table> {
  for (const path of spool.files('queries')) {
    const rows = rowNumbers(tableFromIpc(spool.read(path)))
    for (let from = 0; from < rows.length; ) {
      const slice = slices.of(rows[from]!)
      let to = from + 1
      while (to < rows.length && rows[to]! < slices.starts[slice + 1]!) to++
      const queries = rows.subarray(from, to)
      const none = { items: new Uint32Array(), distances: new Float32Array(), itemRows: new Float64Array() }
      const block = { queries, counts: new Uint32Array(queries.length), ...none, columns: new Uint8Array() }
      yield send(slices.rangeOf(slice), slice, packCandidates(block))
      from = to
    }
  }
}
