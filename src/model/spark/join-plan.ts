// How a join runs on a cluster: a pure function of counts. Three ways, by bytes:
// - broadcast: each task has a block of queries and reads all items; nothing is shuffled;
// - grid: exact, blocks of queries times blocks of items, read where they lie; candidates are shuffled;
// - partitions: at a recall, both sides are shuffled to the partitions of their cells, then candidates.
import { planMemory, type SideSize } from '../../join/memory.ts'
import type { JoinParams } from '../../join/options.ts'
import { type Block, blocksOf } from './blocks.ts'

export type SparkStrategy = 'broadcast' | 'grid' | 'partitions'

/** One side, as its metadata tells. */
export interface SideFacts {
  size: SideSize
  /** Rows of each partition of its files. */
  partitionRows: readonly number[]
  /** Its vectors are neither sparse nor bits. */
  isPlain: boolean
}

export interface SparkPlan {
  strategy: SparkStrategy
  reason: string
  /** Of the longest stage. */
  numTasks: number
  /** Of the items; with `grid` their blocks. */
  numPartitions: number
  numCells: number
  queryBlocks: Block[]
  itemBlocks: Block[]
  /** Ranges of queries that one task merges and writes. */
  ranges: Block[]
  sliceRows: number
  /** Read from storage and shuffled, by all tasks together. */
  readBytes: number
  shuffledBytes: number
  /** Most memory of a task. */
  memoryBytes: number
}

export interface PlanTask {
  items: SideFacts
  /** Undefined in a self join. */
  queries: SideFacts | undefined
  params: JoinParams
  /** How many tasks run at a time, about. */
  numTasks: number
  strategy?: SparkStrategy | undefined
  numPartitions?: number | undefined
}

/** Rows that are in more than one partition: a guess until a sample tells. */
const SPREAD = 2
/** Cells of a partition, and of all. */
const CELLS_EACH = 16
const CELLS = { least: 64, most: 2048 }
/** A partition of fewer items costs more than it saves. */
const LEAST_ROWS = 5000
/** Candidates of a slice in memory. */
const SLICE_BYTES = 64e6
const SLICE_ROWS = { least: 1024, most: 65_536 }

export function planSpark(task: PlanTask): SparkPlan {
  const { items, queries, params, numTasks } = task
  const asking = queries ?? items
  const isExact = params.exact || !items.isPlain || !asking.isPlain
  const bytes = { items: sideBytes(items.size), queries: queries ? sideBytes(queries.size) : 0 }
  const fits = isInMemory(items.size, part(asking.size, 1 / numTasks), params)
  const { strategy, reason } = chosen(task, isExact, fits, bytes)
  const ranges = blocksOf(asking.partitionRows, numTasks)
  const perSlice = SLICE_BYTES / (params.k * SPREAD * 24 + 16)
  const sliceRows = Math.round(Math.min(SLICE_ROWS.most, Math.max(SLICE_ROWS.least, perSlice)))
  const candidates = asking.size.rows * params.k * 24
  const common = { strategy, reason, ranges, sliceRows, memoryBytes: params.memory }
  const none = { numPartitions: 1, numCells: 0, queryBlocks: [], itemBlocks: [] }
  if (strategy === 'broadcast') {
    const readBytes = bytes.queries + ranges.length * bytes.items
    return { ...common, ...none, numTasks: ranges.length, readBytes, shuffledBytes: 0 }
  }
  if (strategy === 'grid') {
    const wanted = task.numPartitions ?? partitionsThatFit(task, 1)
    const itemBlocks = blocksOf(items.partitionRows, wanted)
    const queryBlocks = blocksOf(asking.partitionRows, Math.max(1, Math.ceil(numTasks / itemBlocks.length)))
    const cells = queryBlocks.length * itemBlocks.length
    const asks = queries ? bytes.queries : bytes.items
    const readBytes = queryBlocks.length * bytes.items + itemBlocks.length * asks
    const blocks = { queryBlocks, itemBlocks, numPartitions: itemBlocks.length, numCells: 0 }
    return { ...common, ...blocks, numTasks: cells, readBytes, shuffledBytes: itemBlocks.length * candidates }
  }
  const most = Math.max(1, Math.ceil(items.size.rows / LEAST_ROWS))
  // Whole waves of tasks: the last one is not of a few.
  const waves = Math.ceil(partitionsThatFit(task, SPREAD) / numTasks)
  const partitions = task.numPartitions ?? Math.min(most, Math.max(1, waves) * numTasks)
  const numCells = Math.min(CELLS.most, Math.max(CELLS.least, CELLS_EACH * partitions, partitions))
  const moved = queries ? bytes.items + SPREAD * bytes.queries : SPREAD * bytes.items
  return {
    ...common,
    ...none,
    numPartitions: partitions,
    numCells,
    numTasks: Math.max(partitions, ranges.length),
    // A sample, its truth, and the assignment.
    readBytes: 3 * bytes.items + 2 * bytes.queries,
    shuffledBytes: moved + SPREAD * candidates,
  }
}

function chosen(
  { queries, strategy, numTasks }: PlanTask,
  isExact: boolean,
  fits: boolean,
  bytes: { items: number; queries: number },
): { strategy: SparkStrategy; reason: string } {
  if (strategy !== undefined) return { strategy, reason: 'asked for' }
  if (isExact) {
    if (!queries) return { strategy: 'grid', reason: 'exact, all rows with each other' }
    if (fits) return { strategy: 'broadcast', reason: 'the items fit into the memory of a task' }
    return { strategy: 'grid', reason: 'exact, and the items do not fit into the memory of a task' }
  }
  if (!queries) return { strategy: 'partitions', reason: 'a self join at a recall' }
  if (!fits) return { strategy: 'partitions', reason: 'the items do not fit into the memory of a task' }
  const shuffled = 4 * bytes.items + (2 + SPREAD) * bytes.queries
  const broadcast = numTasks * bytes.items + bytes.queries
  if (broadcast <= shuffled) return { strategy: 'broadcast', reason: 'all items for each task are fewer bytes' }
  return { strategy: 'partitions', reason: 'all items for each task would be more bytes' }
}

/** Blocks of so many bytes that a task has its vectors in memory, or nearly so. */
function partitionsThatFit({ items, queries, params, numTasks }: PlanTask, spread: number): number {
  for (let parts = 1; parts < 2 ** 20; parts = Math.max(parts + 1, Math.ceil(parts * 1.25))) {
    const share = queries ? 1 : spread
    const own = part(items.size, Math.min(1, share / parts))
    const asking = queries ? part(queries.size, Math.min(1, spread / parts)) : undefined
    const asks = spread === 1 ? part((queries ?? items).size, 1 / numTasks) : asking
    if (isInMemory(own, asks, params)) return parts
    if (own.rows <= LEAST_ROWS) return parts
  }
  return 1
}

function isInMemory(items: SideSize, queries: SideSize | undefined, params: JoinParams): boolean {
  const { k, recall, exact, threads, memory: budget, tmp } = params
  try {
    return planMemory({ items, queries, k, recall, exact, threads, budget, tmp }).way === 'memory'
  } catch {
    return false
  }
}

function part(size: SideSize, share: number): SideSize {
  return { ...size, rows: Math.ceil(size.rows * share), heldBytes: size.heldBytes * share }
}

function sideBytes({ rows, dim, heldBytes }: SideSize): number {
  return rows * (4 * dim + 8) + heldBytes
}
