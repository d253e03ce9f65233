// Where a join keeps its vectors: a pure function of counts, options and the budget. Three ways, the first that fits:
// in memory; in spill files, with what searches them in memory; in blocks of items that fit, one after the other.
import { NighError } from '../errors.ts'
import { chooseNumLists, graphWidth } from './cost.ts'
import { formatBytes } from './explain.ts'

/** One side of a join, as its metadata tells. */
export interface SideSize {
  rows: number
  dim: number
  /** Ids and carried columns. */
  heldBytes: number
  /** Buffers of each thread that reads. */
  threadBytes: number
  /** Tables given in memory. */
  givenBytes: number
}

export interface MemoryTask {
  items: SideSize
  /** Undefined in a self join. */
  queries: SideSize | undefined
  k: number
  recall: number
  exact: boolean
  threads: number
  /** Bytes. */
  budget: number
  tmp: string
}

/** Where vectors are: on the heap, in a spill file, or in a spill file from which blocks of items come to the heap. */
export type MemoryWay = 'memory' | 'spill' | 'blocks'

export interface MemoryPlan {
  way: MemoryWay
  budget: number
  /** Expected at most, of the budget. */
  peak: number
  tmp: string
  tmpBytes: number
  /** Bytes of each spill file that may be in memory at once. */
  residentBytes: number
  /** Queries whose neighbors are in memory at once. */
  queryRows: number
  /** Items of a block; all of them unless in blocks. */
  itemRows: number
  /** Bytes that exact searches may take for copies of the items. */
  spareBytes: number
}

/** Beyond the budget, 150 MB are allowed: some 70 for the process itself, and these for the buffers that the plan counts. */
const BUFFERS_ALLOWED = 65e6
/** Bytes a row: while duplicates are looked for, to keep them, and to keep the order of the lists. */
const FIND_DUPLICATES = 36
const DUPLICATES = 12
const NORMS = 8
const LISTS_ORDER = 8
const MAKE_LISTS = 24
/** A code has a bias. Lists end with a panel that is half empty. */
const BIAS = 4
const PADDING_ROWS = 24
const SAMPLE_OF_LIST = 48
/** Bytes of one batch of a result at most; its encoding takes as much again. */
const BATCH = 33.6e6
const BATCH_ROWS = 65_536
/** Parts of a spill file in memory, at least and for each thread. */
const RESIDENT = 16e6
const RESIDENT_THREAD = 4e6
/** Queries that a thread searches at a time, with their routes and candidates. */
const SEARCHING = 17e6
/** Of a row of a self join's graph: a candidate, and what meets it from the other side. */
const CANDIDATE = 8
const REVERSE = 16
const FULL_QUERY_ROWS = 65_536
const LEAST_QUERY_ROWS = 4096
/** Items come in so many blocks at most: every block costs a pass over the queries. */
const MOST_BLOCKS = 64
const LEAST_ITEM_ROWS = 16_384

/** Chooses the way. Error MEMORY_TOO_SMALL with the least budget that would do. */
export function planMemory(task: MemoryTask): MemoryPlan {
  for (const way of ['memory', 'spill', 'blocks'] as const) {
    const plan = way === 'blocks' ? inBlocks(task, task.budget) : atOnce(task, way)
    if (plan) return plan
  }
  const least = leastBudget(task)
  const message = `${formatBytes(task.budget)} of memory are too little for this join: it needs ${Math.ceil(least / 1e6)} MB (--memory)`
  throw new NighError('MEMORY_TOO_SMALL', message)
}

/** The least budget that `planMemory` takes, in whole megabytes. */
export function leastBudget(task: MemoryTask): number {
  let [low, high] = [0, 1]
  while (!inBlocks(task, high * 1e6)) [low, high] = [high, high * 2]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (inBlocks(task, middle * 1e6)) high = middle
    else low = middle
  }
  return high * 1e6
}

/** Fails where the disk has less room than the plan's temporary files take: TMP_DISK_FULL. */
export function requireRoom({ tmp, tmpBytes }: MemoryPlan, freeBytes: number | undefined): void {
  if (freeBytes === undefined || tmpBytes <= freeBytes) return
  const sizes = `temporary files take ${formatBytes(tmpBytes)}, and ${formatBytes(freeBytes)} are free`
  const message = `${tmp}: ${sizes}; name another directory with --tmp, or give more --memory`
  throw new NighError('TMP_DISK_FULL', message)
}

const codeBytes = (rows: number, dim: number) => rows * (Math.ceil(dim / 4) * 4 + 4 + BIAS)
const neighborBytes = (rows: number, k: number) => rows * (8 * k + 4)
const vectorBytes = ({ rows, dim }: SideSize) => rows * dim * 4

function listBytes(rows: number, dim: number): number {
  return codeBytes(rows + PADDING_ROWS * chooseNumLists(rows), dim)
}

/** Making lists of so many items, besides the items. */
function listMakingBytes(rows: number, dim: number): number {
  return MAKE_LISTS * rows + 2 * codeBytes(Math.min(rows, SAMPLE_OF_LIST * chooseNumLists(rows)), dim)
}

/** Ids and columns: the writer joins what was read in pieces. */
function heldBytes({ items, queries }: MemoryTask): number {
  return 2 * (items.heldBytes + (queries?.heldBytes ?? 0))
}

/** Buffers of threads and of the writer. */
function bufferBytes({ items, queries, k, threads }: MemoryTask, spilled: boolean): number {
  const reading = Math.max(items.threadBytes, queries?.threadBytes ?? 0)
  const resident = spilled ? RESIDENT_THREAD : 0
  const numQueries = queries?.rows ?? items.rows
  const batch = Math.min(BATCH, Math.min(BATCH_ROWS, numQueries) * (16 + 24 * k))
  return threads * (Math.max(reading, SEARCHING) + resident) + 2 * batch
}

function spillBytes({ items, queries }: MemoryTask): number {
  return vectorBytes(items) + (queries ? vectorBytes(queries) : 0)
}

/** Tables given in memory are there twice until they are read: what the caller holds may change meanwhile. */
const givenBytes = ({ items, queries }: MemoryTask) => 2 * (items.givenBytes + (queries?.givenBytes ?? 0))

/** All items searched at once. */
function atOnce(task: MemoryTask, way: 'memory' | 'spill'): MemoryPlan | undefined {
  const { items, queries, k, exact, budget, tmp } = task
  const spilled = way === 'spill'
  const numQueries = queries?.rows ?? items.rows
  const files = queries ? 2 : 1
  const buffers = Math.max(0, bufferBytes(task, spilled) + (spilled ? files * RESIDENT : 0) - BUFFERS_ALLOWED)
  const vectors = (spilled ? 0 : spillBytes(task)) + givenBytes(task)
  const base = vectors + heldBytes(task) + items.rows * (DUPLICATES + NORMS) + buffers
  const { rows, dim } = items
  const preparing = base + FIND_DUPLICATES * rows
  const clustering = exact ? 0 : base + listMakingBytes(rows, dim) + (spilled ? 3 * RESIDENT : 0)
  const ordered = exact ? 0 : LISTS_ORDER * rows + listBytes(rows, dim)
  const width = exact || queries ? undefined : graphWidth(k, task.recall)
  const state = (CANDIDATE * (width ?? 0) + REVERSE + LISTS_ORDER) * rows
  const graph = width === undefined ? 0 : base + state + Math.max(listBytes(rows, dim), codeBytes(rows, dim))
  const least = Math.min(numQueries, spilled ? FULL_QUERY_ROWS / 4 : FULL_QUERY_ROWS)
  // Queries of a spill file come to the heap to be searched.
  const gathered = spilled && queries ? 4 * dim : 0
  for (let queryRows = Math.max(1, numQueries); queryRows >= Math.max(1, least); queryRows = Math.ceil(queryRows / 2)) {
    // One block is written while the next is searched.
    const blocks = queryRows < numQueries ? 2 : 1
    const joining = base + ordered + blocks * neighborBytes(queryRows, k) + queryRows * gathered
    const peak = Math.max(preparing, clustering, graph, joining)
    if (peak <= budget) {
      // What is left keeps more of the spill files in memory, half of it at least, and lets exact scans have codes.
      const spare = Math.max(0, budget - joining)
      const left = budget - peak
      const kept = spilled ? Math.max(left / 2, left - codeBytes(rows, dim)) / files : 0
      const tmpBytes = spilled ? spillBytes(task) + (exact ? 0 : vectorBytes(items)) : 0
      const residentBytes = spilled ? Math.floor(RESIDENT + kept) : 0
      const scratch = Math.min(spare - kept * files, codeBytes(rows, dim))
      const expected = Math.max(peak, joining + scratch) + kept * files
      const spareBytes = spilled ? scratch : spare
      return { way, budget, peak: expected, tmp, tmpBytes, residentBytes, queryRows, itemRows: rows, spareBytes }
    }
    if (queryRows === 1) break
  }
  return undefined
}

/** Items in blocks on the heap, one after the other; the queries' neighbors between them in a file. */
function inBlocks(task: MemoryTask, budget: number): MemoryPlan | undefined {
  const { items, queries, k, exact, tmp } = task
  const numQueries = queries?.rows ?? items.rows
  const files = queries ? 2 : 1
  const { rows, dim } = items
  const buffers = Math.max(0, bufferBytes(task, true) + files * RESIDENT - BUFFERS_ALLOWED)
  const base = heldBytes(task) + givenBytes(task) + buffers
  // Of each query: its vector, what is found, the best so far, both merged, and its record in the file, twice over.
  const query = 4 * dim + 5 * (8 * (k + 1) + 4)
  const perQuery = Math.floor((budget - base) / 4 / query)
  const queryRows = Math.max(1, Math.min(numQueries, FULL_QUERY_ROWS, perQuery))
  if (queryRows < Math.min(numQueries, LEAST_QUERY_ROWS)) return undefined
  const forItems = budget - base - queryRows * query
  const block = (n: number) => {
    const held = n * (4 * dim + DUPLICATES + NORMS)
    const lists = exact ? 0 : LISTS_ORDER * n + listBytes(n, dim)
    return Math.max(held + FIND_DUPLICATES * n, exact ? 0 : held + listMakingBytes(n, dim), held + lists)
  }
  const least = Math.max(1, Math.min(rows, Math.max(LEAST_ITEM_ROWS, Math.ceil(rows / MOST_BLOCKS))))
  if (block(least) > forItems) return undefined
  let most = Math.max(1, rows)
  while (block(most) > forItems) most = Math.max(least, Math.floor(most * 0.95))
  // Blocks of equal size, so that none is too small to be worth its pass.
  const numBlocks = Math.max(1, Math.ceil(rows / most))
  const itemRows = Math.max(1, Math.ceil(rows / numBlocks))
  const used = base + queryRows * query + block(itemRows)
  const spareBytes = Math.max(0, Math.min(codeBytes(itemRows, dim), budget - used))
  const tmpBytes = spillBytes(task) + (numBlocks > 1 ? numQueries * (8 * k + 4) : 0)
  const peak = used + spareBytes
  return { way: 'blocks', budget, peak, tmp, tmpBytes, residentBytes: RESIDENT, queryRows, itemRows, spareBytes }
}
