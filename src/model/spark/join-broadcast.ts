// A join whose items fit into every task: blocks of queries to tasks, each joined there with all items into a file of its own.
import { join } from 'node:path'
import { NighError } from '../../errors.ts'
import type { RecallEstimate } from '../../join/statistics.ts'
import { knnJoin, selfJoin } from '../knn-join.ts'
import type { BlockDone, BroadcastStage } from './blocks.ts'
import { controlRows } from './control-rows.ts'
import { collected, DONE_SCHEMA, type RunContext, told } from './run-context.ts'
import type { TableSide } from './table-side.ts'
import { writeDeltaFiles } from './task-output.ts'

export async function joinByBroadcast(context: RunContext, stage: BroadcastStage): Promise<BlockDone[]> {
  const { blocks } = stage
  const tasks = controlRows(context.spark, blocks.length).stage('joinBlocks', stage, DONE_SCHEMA)
  const done = told<BlockDone>(await collected(tasks, context, 'join'))
  const missing = blocks.find(({ block }) => done.filter((one) => one.block === block).length !== 1)
  if (missing) throw new NighError('SPARK_FAILED', `the cluster did not tell of block ${missing.block} once`)
  return done.sort((a, b) => a.block - b.block)
}

/** No queries: a file with the columns alone, made here. */
export async function joinNothing(
  { queries, items, directory, options, output }: Omit<BroadcastStage, 'queries'> & { queries: TableSide | undefined },
  signal: AbortSignal | undefined,
): Promise<BlockDone> {
  const name = join(directory, 'part-00000')
  const to = `${name}.parquet`
  const { report } = await (queries
    ? knnJoin(queries.path, items, { ...options, to, signal })
    : selfJoin(items, { ...options, to, signal }))
  const isDelta = output.format === 'delta'
  if (isDelta) await writeDeltaFiles(to, output, `${name}.json`)
  const { recall, plan, rows, peakMemoryBytes, cpuSeconds } = report
  const file = `part-00000.${isDelta ? 'json' : 'parquet'}`
  return { block: 0, file, ...rows, method: plan.method, recall, peakMemoryBytes, cpuSeconds }
}

/** Of all tasks. They drew their samples by themselves: their errors add up as independent ones do. */
export function recallOf(done: readonly BlockDone[]): RecallEstimate {
  const sum = (of: (block: BlockDone) => number) => done.reduce((total, block) => total + of(block), 0)
  const queries = sum((block) => block.queries)
  const share = (block: BlockDone) => (queries > 0 ? block.queries / queries : 1 / done.length)
  const estimate = sum((block) => share(block) * block.recall.estimate)
  const below = Math.sqrt(sum((block) => (share(block) * (block.recall.estimate - block.recall.low)) ** 2))
  const above = Math.sqrt(sum((block) => (share(block) * (block.recall.high - block.recall.estimate)) ** 2))
  return {
    estimate,
    low: Math.max(0, estimate - below),
    high: Math.min(1, estimate + above),
    sampleSize: sum((block) => block.recall.sampleSize),
  }
}
