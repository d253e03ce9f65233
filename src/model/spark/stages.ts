// What nigh's own tasks run. The archive has it as bundle/stages.js.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Table, Utf8, vectorFromArray } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import type { JoinOptions } from '../../join/options.ts'
import { callNow } from '../../native.ts'
import { readTable } from '../../table/datasets.ts'
import { knnJoin } from '../knn-join.ts'
import type { Block, BlockDone, JoinStage } from './blocks.ts'
import type { Look, Seen } from './doctor.ts'

export * from './models/tasks.ts'

/** Joins blocks of queries with all items, each into a file that no other attempt writes. */
export async function* joinBlocks(control: AsyncIterable<Table>, stage: JoinStage): AsyncGenerator<Table> {
  for await (const table of control) {
    for (const id of table.getChild('id')!) {
      const done = await joinBlock(stage.blocks[Number(id)]!, stage)
      yield new Table({ done: vectorFromArray([JSON.stringify(done)], new Utf8()) })
    }
  }
}

async function joinBlock({ block, first, count, rows }: Block, stage: JoinStage): Promise<BlockDone> {
  const { queries, items, directory, options, isCounted } = stage
  const asked = await rowsOf(stage, first, count)
  if (isCounted && asked.numRows !== rows) {
    const message = `${queries} changed while it was read: block ${block} has ${asked.numRows} rows, not ${rows}`
    throw new NighError('FILE_UNREADABLE', message)
  }
  const { NIGH_ATTEMPT: attempt = '0' } = process.env
  const file = `part-${String(block).padStart(5, '0')}-${attempt}-${process.pid}.parquet`
  const { report } = await knnJoin(asked, items, { ...(options as JoinOptions), to: join(directory, file) })
  const { estimate, low, high, sampleSize } = report.recall
  return {
    block,
    file,
    queries: report.rows.queries,
    items: report.rows.items,
    neighbors: report.rows.neighbors,
    method: report.plan.method,
    recall: { estimate, low, high, sampleSize },
    peakMemoryBytes: report.peakMemoryBytes,
    cpuSeconds: report.cpuSeconds,
  }
}

/** Some consecutive partitions of a table of files, as one table. */
async function rowsOf(
  { queries, queryColumns, numPartitions }: JoinStage,
  first: number,
  count: number,
): Promise<Table> {
  const dataset = await readTable(queries, { columns: queryColumns })
  const partitions = await dataset.partitions()
  try {
    if (partitions.length !== numPartitions) {
      const message = `${queries} has ${partitions.length} partitions in a task and ${numPartitions} for the client`
      throw new NighError('SPARK_STORAGE', message)
    }
    const tables: Table[] = []
    for (let i = first; i < first + count; i++) for await (const table of partitions.at(i)!) tables.push(table)
    return new Table(
      tables[0]!.schema,
      tables.flatMap(({ batches }) => batches),
    )
  } finally {
    await partitions[Symbol.asyncDispose]()
  }
}

/** What a task is and sees, for `nigh spark doctor`. */
export async function* look(_: AsyncIterable<Table>, { probe, answer }: Look): AsyncGenerator<Table> {
  const path = answer && `${answer}-${process.pid}`
  let canWrite: boolean | undefined
  if (path !== undefined) {
    try {
      writeFileSync(path, hostname())
      canWrite = true
    } catch {
      canWrite = false
    }
  }
  const seen: Seen = {
    host: hostname(),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    pyarrow: process.env.NIGH_PYARROW ?? '',
    level: callNow((native) => native.cpu()).level,
    seesProbe: probe === undefined ? undefined : existsSync(probe),
    answer: canWrite ? path : undefined,
  }
  if (path !== undefined && !canWrite) rmSync(path, { force: true })
  yield new Table({ seen: vectorFromArray([JSON.stringify(seen)], new Utf8()) })
}
