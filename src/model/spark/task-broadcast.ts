// Each block of queries with all items, by the local engine, into a file that no other attempt writes.
import { join } from 'node:path'
import { Table, Utf8, vectorFromArray } from 'apache-arrow'
import type { JoinOptions } from '../../join/options.ts'
import { knnJoin } from '../knn-join.ts'
import type { Block, BlockDone, BroadcastStage } from './blocks.ts'
import { numbersOf } from './control-rows.ts'
import { ROW } from './row-numbers.ts'
import { Spool } from './spool.ts'
import { numberedTables } from './table-side.ts'
import { writeDeltaFiles } from './task-output.ts'

export async function* joinBlocks(control: AsyncIterable<Table>, stage: BroadcastStage): AsyncGenerator<Table> {
  for await (const block of numbersOf(control)) {
    const done = await joinBlock(stage.blocks[block]!, stage)
    yield new Table({ done: vectorFromArray([JSON.stringify(done)], new Utf8()) })
  }
}

async function joinBlock({ block, first, count }: Block, stage: BroadcastStage): Promise<BlockDone> {
  const { queries, items, directory, options, output } = stage
  const tables: Table[] = []
  for await (const { table } of numberedTables(queries, first, count)) tables.push(table)
  const [one, ...others] = tables
  const all = one!.concat(...others)
  const { NIGH_ATTEMPT: attempt = '0' } = process.env
  const name = `part-${String(block).padStart(5, '0')}-${attempt}-${process.pid}`
  const asked = all.select(all.schema.fields.map(({ name }) => name).filter((name) => name !== ROW))
  const isDelta = output.format === 'delta'
  using spool = new Spool(options.tmp)
  const to = join(isDelta ? spool.directory : directory, `${name}.parquet`)
  const { report } = await knnJoin(asked, items, { ...(options as JoinOptions), to })
  const file = `${name}.${isDelta ? 'json' : 'parquet'}`
  if (isDelta) await writeDeltaFiles(to, output, join(directory, file))
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
