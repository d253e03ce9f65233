// What goes to the tasks of a join, and what comes back.
import type { JoinOptions } from '../../join/options.ts'
import type { TableSide } from './table-side.ts'

/** What tasks write: Parquet files beside the output; or files of a Delta table, and beside the output what is to be committed of them. */
export type TaskOutput =
  | { format: 'parquet' }
  | { format: 'delta'; path: string; mode: 'error' | 'overwrite' | 'append' }

/** Each task reads all items. */
export interface BroadcastStage {
  queries: TableSide
  items: string
  /** By number. */
  blocks: Block[]
  directory: string
  options: JoinOptions
  output: TaskOutput
}

/** One block of queries, joined. */
export interface BlockDone {
  block: number
  file: string
  queries: number
  items: number
  neighbors: number
  method: string
  recall: { estimate: number; low: number; high: number; sampleSize: number }
  peakMemoryBytes: number
  cpuSeconds: number
}

/** Consecutive partitions of the queries. */
export interface Block {
  block: number
  first: number
  count: number
  rows: number
}

/** Partitions in order, in at most so many blocks of about equal numbers of rows. Partitions without rows go along. */
export function blocksOf(partitionRows: readonly number[], numBlocks: number): Block[] {
  const total = partitionRows.reduce((sum, rows) => sum + rows, 0)
  const target = Math.max(1, Math.ceil(total / numBlocks))
  const blocks: Block[] = []
  let open: Block | undefined
  for (const [i, rows] of partitionRows.entries()) {
    if (open && open.rows > 0 && open.rows + rows > target * 1.25) open = undefined
    if (!open) {
      open = { block: blocks.length, first: i, count: 0, rows: 0 }
      blocks.push(open)
    }
    open.count++
    open.rows += rows
  }
  return blocks.filter((block) => block.rows > 0).map((block, i) => ({ ...block, block: i }))
}
