// The plan of a join on a cluster, as text: tasks, partitions, bytes, memory.
import { formatBytes } from '../../join/explain.ts'
import type { JoinParams } from '../../join/options.ts'
import type { SparkPlan } from './join-plan.ts'

export interface PlannedSizes {
  queries: number
  items: number
  dim: number
  self: boolean
}

const STAGES: Record<SparkPlan['strategy'], string> = {
  broadcast: 'join (each task reads its queries and all items, and writes a file)',
  grid: 'search (blocks of queries times blocks of items) -> merge and write',
  partitions: 'sample -> truth -> assign -> search -> merge and write',
}

/** One line each. */
export function explainSpark(plan: SparkPlan, params: JoinParams, { queries, items, dim, self }: PlannedSizes): string {
  const count = (n: number) => n.toLocaleString('en-US')
  const { strategy, reason, numPartitions, numTasks, ranges, queryBlocks, itemBlocks } = plan
  const tables = self ? `${count(items)} items with each other` : `${count(queries)} queries x ${count(items)} items`
  const recall = params.exact ? 'exact' : `recall ${params.recall}`
  const lines = [
    ['join', `${tables}, ${dim} dimensions, ${params.metric}, k ${params.k}, ${recall}`],
    ['strategy', `${strategy}: ${reason}`],
    ['stages', STAGES[strategy]],
  ]
  if (strategy === 'broadcast') lines.push(['tasks', count(numTasks)])
  if (strategy === 'grid') {
    const parts = `${count(queryBlocks.length)} x ${count(itemBlocks.length)}`
    lines.push(['tasks', `${parts} that search, ${count(ranges.length)} that merge and write`])
  }
  if (strategy === 'partitions') {
    lines.push(['partitions', `${count(numPartitions)} of ${count(plan.numCells)} cells`])
    lines.push(['tasks', `${count(numPartitions)} that search, ${count(ranges.length)} that merge and write`])
  }
  lines.push(['read', formatBytes(plan.readBytes)], ['shuffled', `about ${formatBytes(plan.shuffledBytes)}`])
  lines.push(['memory', `at most ${formatBytes(plan.memoryBytes)} a task`])
  return lines.map(([name, text]) => `${name!.padEnd(11)}${text}`).join('\n')
}
