// The cost model: counts of work times constants of the kernels. Never a clock: the same input and seed give the same plan
// on every run. Threads divide every cost alike, so that they do not change the plan either.
import type { CpuLevel, Precision } from '../native.ts'

/** What is joined with what. */
export interface JoinShape {
  queries: number
  items: number
  dim: number
  self: boolean
  /** Items that differ from all before them, where that is known: duplicates are searched once. */
  distinct?: number | undefined
}

/** The rows that a search works on. */
function searched({ queries, items, self, distinct = items }: JoinShape): { queries: number; items: number } {
  return { queries: self ? Math.min(queries, distinct) : queries, items: distinct }
}

export interface Effort {
  numLists: number
  /** Lists each query probes. */
  nprobe: number
  /** Candidates of the int8 scan whose distances are computed again in f32. */
  rescore: number
}

/** Speeds in units of 1e9 multiply-adds a second, one thread. */
interface KernelSpeed {
  f32: number
  int8: number
}

const SPEED: Record<CpuLevel, KernelSpeed> = {
  avx512: { f32: 100, int8: 390 },
  avx2: { f32: 50, int8: 88 },
  neon: { f32: 20, int8: 20 },
  scalar: { f32: 22, int8: 34 },
}

/** A distance compared with the k-th best costs as much as so many dimensions. */
const SELECT_DIMS: Record<Precision, number> = { f32: 4, int8: 16 }
/** Codes are padded to whole words. */
const PAD_DIMS: Record<Precision, number> = { f32: 1, int8: 4 }
/** Certified int8 rescores this many times k rows a query, one by one from memory. */
const CERTIFIED_RESCORE = 4
const RESCORE_SPEED = 1.5
/** Short tiles and cold lists: a list scan reaches this fraction of a kernel's speed. */
const LIST_EFFICIENCY = 0.7
/** Queries prefer long lists. */
const LIST_SKEW = 1.3
/** A query or an item is compared with this part of the centroids, and with as many coarse ones as the square root of them. */
const ROUTED_PART = 0.35
/** Rows a list is trained on. */
const TRAINING_ROWS = 48
/** Reading, encoding and writing, in 1e9 bytes a second. */
const READ_SPEED = 0.7
const WRITE_SPEED = 0.3
export const SAMPLE_ROWS = 1000

const padded = (dim: number, precision: Precision) => Math.ceil(dim / PAD_DIMS[precision]) * PAD_DIMS[precision]

function scanSeconds(pairs: number, dim: number, precision: Precision, level: CpuLevel): number {
  return (pairs * (padded(dim, precision) + SELECT_DIMS[precision])) / (SPEED[level][precision] * 1e9)
}

function rescoreSeconds(queries: number, rows: number, dim: number): number {
  return (queries * rows * (dim + 16)) / (RESCORE_SPEED * 1e9)
}

/** Seconds of one thread for an exact search of `queries` rows. */
export function exactSeconds(shape: JoinShape, k: number, precision: Precision, level: CpuLevel): number {
  const { queries, items } = searched(shape)
  const scan = scanSeconds(queries * items, shape.dim, precision, level)
  const rows = precision === 'int8' ? CERTIFIED_RESCORE * k : k
  return scan + rescoreSeconds(queries, Math.min(rows, items), shape.dim)
}

/** The cheaper of the two exact scans; they give the same answers. */
export function exactPrecision(shape: JoinShape, k: number, level: CpuLevel): Precision {
  return exactSeconds(shape, k, 'int8', level) < exactSeconds(shape, k, 'f32', level) ? 'int8' : 'f32'
}

/** Seconds of one thread to partition the items. */
export function clusterSeconds(shape: JoinShape, numLists: number, level: CpuLevel): number {
  const { items } = searched(shape)
  // Every item is routed to its list; a sample of items is, twice over, while the lists are trained.
  const routed = items + 2 * Math.min(items, TRAINING_ROWS * numLists)
  return routeSeconds(routed, shape.dim, numLists, level) / LIST_EFFICIENCY + (items * shape.dim * 4) / 1e9
}

function routeSeconds(rows: number, dim: number, numLists: number, level: CpuLevel): number {
  return scanSeconds(rows * (numLists * ROUTED_PART + Math.sqrt(numLists)), dim, 'int8', level)
}

/** Seconds of one thread to search the lists. */
export function clusterSearchSeconds(shape: JoinShape, effort: Effort, level: CpuLevel): number {
  const { dim } = shape
  const { queries, items } = searched(shape)
  const routing = routeSeconds(queries, dim, effort.numLists, level) / LIST_EFFICIENCY
  const candidates = Math.min((items / effort.numLists) * effort.nprobe * LIST_SKEW, items)
  const scan = scanSeconds(queries * candidates, dim, 'int8', level) / LIST_EFFICIENCY
  return routing + scan + rescoreSeconds(queries, effort.rescore, dim)
}

/** Seconds of one thread to choose an effort on one sample and to validate it on another. */
export function tuneSeconds(shape: JoinShape, effort: Effort, k: number, level: CpuLevel): number {
  const sample = { ...shape, queries: Math.min(SAMPLE_ROWS, shape.queries) }
  const truth = exactSeconds(sample, k, exactPrecision(sample, k, level), level)
  return 2 * truth + 4 * clusterSearchSeconds(sample, effort, level)
}

export const readSeconds = (sizeBytes: number): number => sizeBytes / (READ_SPEED * 1e9)
export const writeSeconds = (sizeBytes: number): number => sizeBytes / (WRITE_SPEED * 1e9)

/** How many lists for so many distinct items. */
export function chooseNumLists(items: number): number {
  return Math.max(64, Math.round((4 * Math.sqrt(items)) / 64) * 64)
}

/** The first guess at nprobe, before anything was measured: for `--explain` and the choice of a method. */
export function guessNprobe(recall: number, numLists: number): number {
  const digits = -Math.log10(Math.max(1 - recall, 1e-4)) / Math.log10(20)
  return Math.min(numLists, Math.max(1, Math.round(0.5 * digits * Math.sqrt(numLists))))
}

/** The least rescore that makes sense for k: a few spare places, whole registers. */
export function baseRescore(k: number): number {
  return Math.ceil((k + 6) / 8) * 8
}
