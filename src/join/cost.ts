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
  /** Candidates kept of each query, whose distances are computed again in f32. */
  rescore: number
  /** Rounds of neighbors of neighbors after the probes, in a self join. */
  rounds?: Round[] | undefined
}

/** A round, and how many lists were probed by then if not as many as before. */
export interface Round extends Around {
  nprobe?: number | undefined
}

/** Which rows meet around each row in a round: its nearest candidates, and rows that have it as one. */
export interface Around {
  forward: number
  reverse: number
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
/** In the first pass of a graph a row is compared with so many centroids. */
const NEAR_LISTS = { least: 480, each: 8 }
/** Of the first pass, for each row: its code, and its places while they fill. */
const PASS_SECONDS = 0.6e-6
/** Rows of a tile in a round of neighbors of neighbors. */
const TILE_ROWS = 48
/** The part of the reverse edges that are no forward edges. */
const NEW_REVERSE = 0.6
/** Of a round, for each row: its company is gathered; and for each of the company: a tile's keys are offered to 16 places. */
const ROUND_SECONDS = 0.2e-6
const OFFER_SECONDS: Record<CpuLevel, number> = { avx512: 0.065e-6, avx2: 0.2e-6, neon: 0.25e-6, scalar: 0.25e-6 }
/** The widest graph, in candidates a row. */
const MAX_WIDTH = 64
/** Rows a list is trained on. */
const TRAINING_ROWS = 48
/** Reading, encoding and writing, in 1e9 bytes a second. */
const READ_SPEED = 0.7
const WRITE_SPEED = 0.3
export const SAMPLE_ROWS = 1000
/** Fewer to choose on: the reserve that they ask for costs less than their truth. */
export const CHOOSING_ROWS = 500
const LEAST_SAMPLE_ROWS = 250

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
  // Every item is routed to its list; a sample of items is while the lists are trained, which takes as long again.
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
  const scan =
    scanSeconds(queries * listedPairs(items, effort.numLists, effort.nprobe), dim, 'int8', level) / LIST_EFFICIENCY
  return routing + scan + rescoreSeconds(queries, effort.rescore, dim)
}

/** Seconds of one thread for the first pass of a graph: every row's `nprobe` nearest lists. */
export function probeSeconds(shape: JoinShape, numLists: number, nprobe: number, level: CpuLevel): number {
  const { queries, items } = searched(shape)
  const near = Math.min(numLists * ROUTED_PART, Math.max(NEAR_LISTS.least, NEAR_LISTS.each * nprobe))
  const pairs = queries * (near + listedPairs(items, numLists, nprobe))
  return scanSeconds(pairs, shape.dim, 'int8', level) / LIST_EFFICIENCY + queries * PASS_SECONDS
}

/** Items that a query meets in its nearest lists. */
function listedPairs(items: number, numLists: number, nprobe: number): number {
  return Math.min((items / numLists) * nprobe * LIST_SKEW, items)
}

/** Seconds of one thread for one round over all rows that keep `width` candidates each. */
export function roundSeconds(shape: JoinShape, width: number, { forward, reverse }: Around, level: CpuLevel): number {
  const rows = searched(shape).queries
  // Of the reverse edges some are forward edges too.
  const met = 1 + forward + NEW_REVERSE * reverse
  const tiles = scanSeconds(rows * met * met, shape.dim, 'int8', level)
  return tiles + rows * (ROUND_SECONDS + met * (width / 16) * OFFER_SECONDS[level])
}

/** Seconds of one thread for the true distances of all rows' candidates. */
export function finishSeconds(shape: JoinShape, width: number): number {
  return rescoreSeconds(searched(shape).queries, width, shape.dim)
}

/** What few probes and one round cost, at least: probing alone has to be cheaper than that to be chosen in a self join. */
export function refineGuessSeconds(shape: JoinShape, numLists: number, width: number, level: CpuLevel): number {
  const full = roundsFor(width).at(-1)!
  return probeSeconds(shape, numLists, 8, level) + roundSeconds(shape, width, full, level) + finishSeconds(shape, width)
}

/** The rounds worth a look for rows that keep `width` candidates, from a third of the work to all that a tile of 48 rows holds. */
export function roundsFor(width: number): Around[] {
  const most = Math.min(width, 24)
  const least = Math.round(most / 2)
  const even = Array.from({ length: most - least + 1 }, (_, i) => least + i).filter((n) => 2 * n < TILE_ROWS - 1)
  return [...even.map((n) => ({ forward: n, reverse: n })), { forward: most, reverse: TILE_ROWS - 1 - most }]
}

/** Seconds of one thread to choose an effort on one sample and to validate it on another. */
export function tuneSeconds(shape: JoinShape, effort: Effort, k: number, level: CpuLevel): number {
  const sample = { ...shape, queries: Math.min(SAMPLE_ROWS, shape.queries) }
  const chosen = { ...shape, queries: Math.min(CHOOSING_ROWS, shape.queries) }
  const truth = (of: JoinShape) => exactSeconds(of, k, exactPrecision(of, k, level), level)
  return truth(chosen) + truth(sample) + 6 * clusterSearchSeconds(chosen, effort, level)
}

/** How many queries to measure an effort on that is known already: the exact search of them takes as long as the join. */
export function validationRows(shape: JoinShape, effort: Effort, k: number, level: CpuLevel): number {
  const one = { ...shape, queries: 1 }
  const exact = exactSeconds(one, k, exactPrecision(one, k, level), level)
  return Math.max(
    LEAST_SAMPLE_ROWS,
    Math.min(SAMPLE_ROWS, Math.round(clusterSearchSeconds(shape, effort, level) / exact)),
  )
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

/** The width of a graph for k neighbors at a recall: a high one is cheaper by wider rows than by more rounds. Undefined: none is wide enough. */
export function graphWidth(k: number, recall: number): number | undefined {
  const width = recall > 0.97 ? Math.ceil((baseRescore(k) * 1.5) / 8) * 8 : baseRescore(k)
  return baseRescore(k) > MAX_WIDTH ? undefined : Math.min(width, MAX_WIDTH)
}
