// Assign: rows to the partitions they belong to, as blocks.
import type { Table } from 'apache-arrow'
import { addon, callNow, callOn, type NativeShuffle } from '../../native.ts'
import { Router } from '../../partition/router.ts'
import { tableFromIpc, tableToIpc } from '../../table/ipc.ts'
import { numbersOf } from './control-rows.ts'
import { type AssignStage, ITEMS, QUERIES, type ReadTask } from './join-stage.ts'
import { readNumbered, vectorsOf } from './read-vectors.ts'
import { rowNumbers } from './row-numbers.ts'
import { readCells } from './saved-cells.ts'
import { BLOCK_BYTES, blockTable } from './shuffle-blocks.ts'
import { Spool } from './spool.ts'
import { numberedTables } from './table-side.ts'

/** The part of a task's memory that rows on their way may take; the others wait in a file. */
const SHUFFLE_PART = 0.25

export async function* assign(control: AsyncIterable<Table>, stage: AssignStage): AsyncGenerator<Table> {
  const saved = readCells(stage.cellsPath)
  const router = await Router.create(saved.cells, saved.space, stage.params.threads)
  try {
    for await (const task of numbersOf(control)) yield* assignTask(stage.tasks[task]!, stage, router)
  } finally {
    router.dispose()
  }
}

async function* assignTask(task: ReadTask, stage: AssignStage, router: Router): AsyncGenerator<Table> {
  const { params, partitionKeys, itemsAsk, margin } = stage
  const side = task.side === 'item' ? stage.items : (stage.queries ?? stage.items)
  const kind = task.side === 'item' ? ITEMS : QUERIES
  const width = task.side === 'query' || itemsAsk ? stage.width : 1
  using spool = new Spool(stage.tmp)
  let shuffle: NativeShuffle | undefined
  let [rows, bytes] = [0, 0]
  try {
    for await (const { table, first } of numberedTables(side, task.first, task.count)) {
      if (table.numRows === 0) continue
      const ipc = tableToIpc(table)
      rows += table.numRows
      bytes += ipc.length
      shuffle ??= callNow((native) =>
        native.createShuffle({
          numPartitions: partitionKeys.length,
          schemaIpc: tableToIpc(table.slice(0, 0)),
          memoryBytes: Math.floor(params.memory * SHUFFLE_PART),
          dir: spool.directory,
        }),
      )
      const read = await readNumbered(table, side, task.side, params)
      try {
        const routes = await router.route(vectorsOf(read.native), task.side, { margin, width })
        const { places, partitions } = dealt(routes, read.rows, first)
        const into = shuffle
        await callOn(async () => {
          const all = await addon().arrowFromIpc(ipc)
          const taken = await all.take(places)
          all.dispose()
          await into.add(taken, partitions)
          taken.dispose()
        })
      } finally {
        read.native.dispose()
      }
    }
    if (!shuffle) return
    const blockRows = Math.max(1, Math.floor((BLOCK_BYTES * rows) / bytes))
    for (const [partition, key] of partitionKeys.entries()) {
      for await (const block of shuffled(shuffle, partition, blockRows)) {
        const at = rowNumbers(tableFromIpc(block))[0]!
        yield blockTable({ key, kind, at, block })
      }
    }
  } finally {
    shuffle?.dispose()
  }
}

/** Rows of a table and where each goes; a row may go to several partitions. */
function dealt(routes: Awaited<ReturnType<Router['route']>>, rows: Float64Array, first: number) {
  const { width, counts, partitions } = routes
  const total = counts.reduce((sum, count) => sum + count, 0)
  const out = { places: new Uint32Array(total), partitions: new Uint32Array(total) }
  let at = 0
  for (const [i, count] of counts.entries()) {
    for (let j = 0; j < count; j++) {
      out.places[at] = rows[i]! - first
      out.partitions[at++] = partitions[i * width + j]!
    }
  }
  return out
}

async function* shuffled(shuffle: NativeShuffle, partition: number, maxRecords: number): AsyncGenerator<Uint8Array> {
  const stream = callNow(() => shuffle.open(partition, maxRecords))
  try {
    for (;;) {
      const ipc = await callOn(async () => {
        const job = new (addon().Job)()
        const table = await stream.next(job)
        try {
          return await table?.toIpc()
        } finally {
          table?.dispose()
        }
      })
      if (!ipc) return
      yield ipc
    }
  } finally {
    stream.dispose()
  }
}
