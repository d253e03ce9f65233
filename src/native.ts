// The only file that loads the addon, and the only one that knows how its errors and progress arrive.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { ERROR_CODES, NighError } from './errors.ts'

/** Metrics by name; docs/guide.md has their distances. */
export type Metric =
  | 'l2'
  | 'squared-l2'
  | 'cosine'
  | 'correlation'
  | 'dot'
  | 'l1'
  | 'canberra'
  | 'bray-curtis'
  | 'hamming'
  | 'jaccard'
  | 'custom'
/** A metric of one's own: smaller is nearer. The vectors are views: they may not be kept or changed. */
export type DistanceFunction = (a: Float32Array, b: Float32Array) => number
export type Precision = 'f32' | 'int8'
export type CpuLevel = 'scalar' | 'avx2' | 'avx512' | 'neon'

/** A promise, or the result itself where the work took no time. */
type Answer<T> = Promise<T> | T

export interface NativeJob {
  cancel(): void
  readonly done: number
  readonly total: number
}

interface Disposable {
  /** Frees the native memory now; the finalizer does it otherwise. */
  dispose(): void
}

export interface NativeTable extends Disposable {
  readonly numRows: number
  readonly dim: number
  readonly idCol: string
  /** Size of the inputs. */
  readonly sizeBytes: number
  readonly rejectedRows: number
  /** Names of the carried columns. */
  readonly columns: string[]
  /** Its ids are row numbers: there was no such column. */
  readonly generatedIds: boolean
  readonly idType: string
  /** Bytes of a stored vector; of sparse ones on average. */
  readonly rowBytes: number
  /** Vectors are here, without their zeros. */
  readonly isSparse: boolean
  /** Vectors are packed bits; `dim` counts bits. */
  readonly isBits: boolean
  /** Nothing but the largest index of sparse vectors told `dim`. */
  readonly isOpen: boolean
  /** A copy of the vectors of some rows. */
  vectors(first: number, count: number): Float32Array
  countDuplicateIds(): Promise<number>
}

/** What the metadata of a table tells. */
export interface TableSize {
  rows: number
  dim: number
  /** Bytes of a stored vector; of sparse ones about. */
  rowBytes: number
  isBits: boolean
  /** Vectors are kept without their zeros. */
  isSparse: boolean
  isOpen: boolean
  /** Bytes of ids and carried columns. */
  heldBytes: number
  /** Bytes of the buffers of each thread that reads. */
  threadBytes: number
  /** Bytes of tables given in memory, until they are read. */
  givenBytes: number
}

/** A table whose size is known and whose rows are still to be read. */
export interface NativeOpenTable extends Disposable {
  readonly size: TableSize
}

/** Where vectors go that memory has no room for, and how many bytes of them may be in memory at once. */
export interface Spilling {
  dir: string
  residentBytes: number
}

/** Consecutive rows of a table. */
export interface RowRange {
  first: number
  count: number
}

/** The best neighbors so far of queries that meet the items block by block. */
export interface NativeKept extends Disposable {
  /** Takes in what one block of items gave consecutive queries, and gives their best so far. */
  merge(
    found: NativeNeighbors,
    options: { firstQuery: number; firstItem: number; leaveOut?: Uint32Array; first: boolean; last: boolean },
  ): Promise<NativeNeighbors>
}

export interface NativeItems extends Disposable {
  /** How much memory an exact search may take for copies of the items; without a limit it takes what makes it fast. */
  limitSpareBytes(bytes: number): void
  /** How much of vectors in a spill file may be in memory at once. */
  limitResidentBytes(bytes: number): void
  readonly numRows: number
  readonly numDistinct: number
  readonly dim: number
  readonly isSparse: boolean
}

export interface NativeClusters extends Disposable {
  readonly numLists: number
  readonly longestList: number
  /** Rows are rotated before they are coded: their dimensions are too uneven for codes of one step. */
  readonly isRotated: boolean
}

export interface NativeNeighbors extends Disposable {
  readonly k: number
  readonly numQueries: number
  readonly counts: Uint32Array
  readonly rows: Uint32Array
  readonly distances: Float32Array
}

/** The rows of one index that a search may answer. */
export interface NativeKeep extends Disposable {
  readonly numKept: number
}

/** Items with the structure that finds them; immutable. */
export interface NativeIndex extends Disposable {
  readonly kind: string
  readonly numRows: number
  /** It finds the exact neighbors whatever the effort. */
  readonly isExact: boolean
  /** JSON: numbers by name. */
  stats(): string
  /** `precision`, of whatever value: exactly. */
  search(
    queries: NativeTable | undefined,
    options: SearchOptions,
    keep: NativeKeep | undefined,
    job: NativeJob,
  ): Answer<NativeNeighbors>
  /** One vector, on this thread: what is found goes to `rows` and `distances`, a place for each neighbor asked for. How many there are. */
  nearest(
    vector: Float32Array,
    effort: number | undefined,
    maxDistance: number | undefined,
    keep: NativeKeep | undefined,
    rows: Uint32Array,
    distances: Float32Array,
  ): number
  /** To a new file; gives its size. */
  write(path: string): Promise<number>
  verify(job: NativeJob): Promise<void>
  takeRows(columns: NativeTable, rows: Uint32Array): Promise<NativeTable>
  /** Rows among `bits` (one each, the first in the lowest of the first byte) for which an SQL condition is true. */
  keep(columns: NativeTable, filter: string | undefined, bits: Uint8Array | undefined): Promise<NativeKeep>
  /** To a file of another program; whether it calls the rows by their ids, else by their numbers. */
  export(
    format: string,
    path: string,
    columns: NativeTable,
    deleted: Uint8Array | undefined,
    byId: boolean,
  ): Promise<boolean>
}

/** Annoy's file, piece by piece. */
export interface NativeForestMerger {
  items(vectors: Float32Array, ids: Uint32Array): void
  tree(parent: Uint8Array, counts: Uint32Array): void
  branch(branch: Uint8Array): void
  finish(): void
  dispose(): void
}

export interface NativeIndexKind {
  kind: string
  seed: number
  numLists?: number
  codes?: string
  m?: number
  efConstruction?: number
  numTrees?: number
  hashFamily?: string
  bucketLength?: number
  numHashTables?: number
  numBits?: number
}

/** What the file of another program held: index and ids can be taken once. */
export interface NativeImported {
  readonly index: NativeIndex
  readonly columns: NativeTable
  /** A bit for each row. */
  readonly deleted: Uint8Array
}

/** Candidates of every item of a self join, built up in steps. */
export interface NativeGraph extends Disposable {
  probe(
    items: NativeItems,
    clusters: NativeClusters,
    from: number,
    to: number,
    threads: number,
    job: NativeJob,
  ): Promise<void>
  localJoin(
    items: NativeItems,
    clusters: NativeClusters,
    forward: number,
    reverse: number,
    seed: number,
    threads: number,
    job: NativeJob,
  ): Promise<void>
  preview(
    items: NativeItems,
    options: SearchOptions,
    forward: number,
    reverse: number,
    seed: number,
    job: NativeJob,
  ): Promise<NativeNeighbors>
  finish(items: NativeItems, k: number, includeSelf: boolean, threads: number, job: NativeJob): Promise<void>
  neighbors(items: NativeItems, options: SearchOptions, job: NativeJob): Promise<NativeNeighbors>
}

export interface SearchOptions {
  k: number
  rows?: Uint32Array
  first?: number
  count?: number
  includeSelf?: boolean
  precision?: Precision
  nprobe?: number
  rescore?: number
  effort?: number
  maxDistance?: number
  threads: number
}

/** One table to read: a file, directory or glob; Arrow IPC bytes; or plain vectors. */
export interface NativeSource {
  path?: string
  ipc?: Uint8Array
  vectors?: Float32Array
  dim?: number
  idsIpc?: Uint8Array
}

export interface NativeReadOptions {
  idCol?: string
  vectorCol?: string
  /** Columns of bytes and booleans are bits. */
  bits?: boolean
  columns: string[]
  /** Every column there is. */
  allColumns?: boolean
  onInvalid: 'fail' | 'drop'
  threads: number
  side: string
}

export interface NativeWriteOptions {
  /** IPC bytes in memory if absent. */
  path?: string
  layout: 'nested' | 'long'
  columns: string[]
  queryColumns: string[]
  force: boolean
  /** Name of the list of neighbors (neighbors). */
  listName?: string
  /** Leave out the queries' ids, unless they are among the columns. */
  withoutQueryId?: boolean
  mode: 'error' | 'overwrite' | 'append'
}

export interface NativeWritten {
  /** Rows of a file. */
  rows: number
  neighbors: number
  sizeBytes: number
  bytes?: Uint8Array
}

export interface NativeWriter extends Disposable {
  write(first: number, neighbors: NativeNeighbors, job: NativeJob): Answer<void>
  finish(): Answer<NativeWritten>
}

/** Which rows of two tables have the same id. */
export interface NativeIdMatches extends Disposable {
  /** For each query the first item with its id, or 2^32 - 1. */
  readonly own: Uint32Array
  /** For each item the first item with its id. */
  readonly first: Uint32Array
  /** How many items share one id, at most. */
  readonly most: number
  /** The first k neighbors of consecutive queries that do not have the query's own id. */
  withoutOwn(firstQuery: number, found: NativeNeighbors, k: number): Promise<NativeNeighbors>
}

/** Rows by group: those of group `g` are `rows[starts[g] .. starts[g + 1]]`. */
export interface GroupedRows {
  rows: Uint32Array
  starts: Uint32Array
}

/** The rows of a table by the value of a column. */
export interface NativeGroups extends Disposable {
  readonly rows: GroupedRows
  /** An Arrow IPC stream of (partition, size). */
  summaryIpc(): Uint8Array
  /** For each group the queries that see it, by a column of values or of lists of values. */
  seenBy(queries: NativeTable, column: string): GroupedRows
}

/** The best neighbors so far of queries that meet the partitions one after the other. */
export interface NativeCandidates extends Disposable {
  add(found: NativeNeighbors, queries: Uint32Array, firstItem: number): Promise<void>
  neighbors(first: number, count: number): NativeNeighbors
}

/** A table of neighbors read back, its ids found in the tables it was made from. */
export interface NativeFoundResult extends Disposable {
  readonly numQueries: number
  readonly maxNeighbors: number
  readonly repeatedQueries: number
  readonly duplicateQueryIds: number
  readonly duplicateItemIds: number
  /** The neighbors that some of its rows claim, at their true distances. */
  claims(
    items: NativeItems,
    queries: NativeTable | undefined,
    positions: Uint32Array,
    k: number,
    includeSelf: boolean,
  ): Promise<NativeClaims>
}

export interface NativeClaims extends Disposable {
  readonly judged: {
    queryRows: Uint32Array
    wrongDistances: number
    missingDistances: number
    pairs: number
    selfPairs: number
    repeatedPairs: number
  }
  neighbors(): NativeNeighbors
}

/** Arrow data in native memory: record batches of one schema. */
export interface NativeArrow extends Disposable {
  readonly numRows: number
  readonly sizeBytes: number
  /** An IPC stream with the schema alone. */
  schemaIpc(): Uint8Array
  /** An uncompressed IPC stream: apache-arrow views it without a copy. */
  toIpc(): Answer<Uint8Array>
  /**
   * The memory of its batches, which changes hands: the table is gone then. Without an answer, there is a type that only `toIpc` can
   * hand over, and it stays.
   */
  handOver(): Answer<NativePieces[] | undefined | null>
  /** The rows for which an SQL condition is true. */
  filter(where: string): Answer<NativeArrow>
  /** A column more, or in the place of the one of that name: an SQL expression. */
  withColumn(name: string, expression: string): Answer<NativeArrow>
  select(columns: string[]): NativeArrow
  /** Consecutive rows, without a copy. */
  slice(first: number, count: number): NativeArrow
  take(rows: Uint32Array): Answer<NativeArrow>
  sort(keys: { column: string; descending?: boolean; nullsFirst?: boolean }[]): Answer<NativeArrow>
  /** Rows brought together by key: the table in order of the key, and where each group starts (numGroups + 1 numbers). Each
   * of the two can be taken once. */
  group(columns: string[]): Answer<{ readonly table: NativeArrow; readonly starts: Uint32Array }>
  /** Types as SQL or as Arrow writes them. */
  cast(columns: { name: string; type: string }[]): Answer<NativeArrow>
}

/**
 * A record batch in pieces, depth first as in Arrow IPC: for each array its length and its number of nulls, and its buffers: a bitmap
 * if it has nulls, then what its type has.
 */
export interface NativePieces {
  numRows: number
  arrays: number[]
  buffers: Uint8Array[]
}

/** Tables one after another. */
export interface NativeTableStream extends Disposable {
  /** Undefined (or null) after the last. */
  next(job: NativeJob): Promise<NativeArrow | undefined | null>
}

/** A run of row groups, or record batches, of one file. */
export interface ScanPartition {
  name: string
  /** Before the filter. */
  numRows: number
  /** Bytes to be read. */
  sizeBytes: number
}

/** A lazy table at rest. */
export interface NativeScan extends Disposable {
  schemaIpc(): Uint8Array
  readonly partitions: ScanPartition[]
  /** Tables of at most maxRecords rows (-1: one a partition). A partition without rows has none. */
  open(partition: number, maxRecords: number): NativeTableStream
  /** Bytes of files read so far. */
  readonly bytesRead: number
}

export interface NativeScanOptions {
  columns?: string[]
  filter?: string
  version?: number
  timestampMs?: number
  side?: string
  /** Where files are cut into partitions: by the bytes of these columns, whatever is read. */
  cutColumns?: string[]
  cutBytes?: number
}

/** Rows on their way to other partitions: in memory up to a budget, beyond it in a temporary file. */
export interface NativeShuffle extends Disposable {
  readonly spilledBytes: number
  add(table: NativeArrow, partitions: Uint32Array): Promise<void>
  /** Rows with equal keys come to one partition. */
  addByKey(table: NativeArrow, columns: string[]): Promise<void>
  open(partition: number, maxRecords: number): NativeTableStream
}

export interface NativeShuffleOptions {
  numPartitions: number
  schemaIpc: Uint8Array
  memoryBytes: number
  dir: string
}

/** A dataset in the making: nobody sees it before `finish`. */
export interface NativeDatasetWriter extends Disposable {
  write(table: NativeArrow, job: NativeJob): Promise<void>
  finish(job: NativeJob): Promise<{ rows: number; files: number; sizeBytes: number; version?: number }>
  /** Of a Delta table: completes the files for the writer of another process, which takes them over. */
  finishFiles(): Promise<{ actions: Uint8Array; rows: number[] }>
  adopt(actions: Uint8Array, rows: number[]): Promise<void>
  abort(): Promise<void>
}

export interface NativeDatasetWriterOptions {
  path: string
  format: 'parquet' | 'arrow' | 'delta'
  mode: 'error' | 'overwrite' | 'append'
  partitionBy: string[]
  schemaIpc: Uint8Array
}

/** What hash functions are made of. */
export interface LshOptions {
  family: 'spark' | 'offset'
  /** Of l2. */
  bucketLength: number
  numTables: number
  /** Bits of a hash, of cosine. */
  numBits: number
  seed: number
  metric: Metric
  /** Rows are bits. */
  bits: boolean
  dim: number
}

/** A hash of each table for a row. */
export interface NativeHasher {
  readonly dim: number
  readonly bits: boolean
  /** Fails where the vectors of a table cannot be hashed. */
  check(table: NativeTable): void
  /** One of each hash table a row. */
  hash(table: NativeTable, threads: number): Promise<Float64Array>
  /** Hashes items, and moves them into the order of their buckets. */
  build(items: NativeItems, threads: number, job: NativeJob): Promise<NativeLsh>
}

/** Items by their hashes. */
export interface NativeLsh extends Disposable {
  hasher(dim: number, bits: boolean): NativeHasher
  /** `nprobe` counts the buckets of each table that are looked at. */
  search(items: NativeItems, queries: NativeTable, options: SearchOptions, job: NativeJob): Promise<NativeNeighbors>
  /** Writes the tables, without the items, and gives the size of the file. */
  write(path: string, items: NativeItems): Promise<number>
  /** The pairs that share a bucket and are near; without a right side those of the left side with itself. */
  join(
    items: NativeItems,
    table: NativeTable,
    right: NativeLsh | undefined,
    rightItems: NativeItems | undefined,
    rightTable: NativeTable | undefined,
    options: { threshold: number; inclusive: boolean; threads: number; names: string[] },
  ): NativeLshJoin
}

/** A join that goes step by step. */
export interface NativeLshJoin {
  /** The next pairs as an Arrow IPC stream, maybe none; null (or undefined) when there are no more. */
  step(job: NativeJob): Promise<Uint8Array | undefined | null>
  schemaIpc(): Uint8Array
}

export interface Addon {
  Job: new () => NativeJob
  cpu(): { level: CpuLevel; threads: number; model: string }
  peakMemoryBytes(): number
  cpuSeconds(): number
  openTable(sources: NativeSource[], options: NativeReadOptions, job: NativeJob): Answer<NativeOpenTable>
  /** Reads an open table, and takes it. */
  readTable(table: NativeOpenTable, spilling: Spilling | undefined, job: NativeJob): Answer<NativeTable>
  /** Takes the vectors of the table; of a range of rows, copies them. */
  newItems(table: NativeTable, metric: Metric, threads: number, job: NativeJob, range?: RowRange): Promise<NativeItems>
  /** Without a directory, all of one block of items. */
  createKept(numQueries: number, k: number, dir?: string): NativeKept
  freeDiskBytes(dir: string): number | undefined
  exactSearch(
    items: NativeItems,
    queries: NativeTable | undefined,
    options: SearchOptions,
    job: NativeJob,
  ): Answer<NativeNeighbors>
  buildClusters(
    items: NativeItems,
    numLists: number,
    seed: number,
    threads: number,
    job: NativeJob,
  ): Promise<NativeClusters>
  clusterSearch(
    clusters: NativeClusters,
    items: NativeItems,
    queries: NativeTable | undefined,
    options: SearchOptions,
    job: NativeJob,
  ): Answer<NativeNeighbors>
  newGraph(items: NativeItems, clusters: NativeClusters, width: number): Promise<NativeGraph>
  /** What a search in JavaScript found. */
  newNeighbors(k: number, counts: Uint32Array, rows: Uint32Array, distances: Float32Array): NativeNeighbors
  recall(truth: NativeNeighbors, found: NativeNeighbors): Float32Array
  /** Some rows of a table, in the order given. `items`: those that took its vectors. */
  takeRows(table: NativeTable, items: NativeItems | undefined, rows: Uint32Array): Promise<NativeTable>
  /** The rows of the second table behind those of the first; both have their vectors. */
  concatTables(first: NativeTable, second: NativeTable): Promise<NativeTable>
  /** Writes items to a new file, and gives its size. */
  writeItems(
    path: string,
    table: NativeTable,
    items: NativeItems | undefined,
    vectorCol: string,
    job: NativeJob,
  ): Promise<number>
  /** Ids and columns as an Arrow IPC stream, the ids first. */
  itemColumnsIpc(table: NativeTable): Uint8Array
  /** The same as an Arrow IPC stream in memory. */
  itemsIpc(table: NativeTable, vectorCol: string): Promise<Uint8Array>
  /** Takes the vectors of the table. */
  buildIndex(
    table: NativeTable,
    metric: Metric,
    kind: NativeIndexKind,
    threads: number,
    job: NativeJob,
  ): Promise<NativeIndex>
  /** The same of a table whose first rows are rows `live` of another index, whose structure is taken over where that is cheaper. */
  growIndex(
    base: NativeIndex,
    live: Uint32Array,
    table: NativeTable,
    metric: Metric,
    kind: NativeIndexKind,
    threads: number,
    job: NativeJob,
  ): Promise<NativeIndex>
  /** Maps a file. */
  openIndex(path: string): Answer<NativeIndex>
  /** Reads the file of another program, which does not say its metric and dimension. */
  importIndex(path: string, format: string, metric: Metric, dim: number, threads: number): Promise<NativeImported>
  /** A forest in parts: the first splits of one tree, of a sample; see forest-parts.ts. */
  forestParent(sample: Float32Array, metric: Metric, dim: number, numLeaves: number, seed: number): Promise<Uint8Array>
  forestLeaves(parent: Uint8Array): number
  forestRoute(parent: Uint8Array, vectors: Float32Array, ids: Uint32Array): Promise<Uint32Array>
  forestBranch(
    parent: Uint8Array,
    leaf: number,
    vectors: Float32Array,
    ids: Uint32Array,
    numItems: number,
    threads: number,
  ): Promise<Uint8Array>
  ForestMerger: new (path: string, metric: Metric, dim: number, numItems: number) => NativeForestMerger
  /** Ids and columns to a new Arrow file; gives its size. */
  writeItemColumns(path: string, table: NativeTable, job: NativeJob): Promise<number>
  /** Such a file as a table without vectors. */
  readItemColumns(path: string, dim: number, bits: boolean): Promise<NativeTable>
  concatItemColumns(tables: NativeTable[]): Promise<NativeTable>
  /** Gives ids that are row numbers others, from `first` on. */
  numberRows(table: NativeTable, first: number): void
  newHasher(options: LshOptions): NativeHasher
  /** Tables that were written, for the same items as they were read again. */
  openLsh(path: string, items: NativeItems, job: NativeJob): Promise<NativeLsh>
  matchIds(items: NativeTable, queries: NativeTable): Promise<NativeIdMatches>
  groupRows(table: NativeTable, column: string): Promise<NativeGroups>
  createCandidates(numQueries: number, k: number): NativeCandidates
  createWriter(items: NativeTable, queries: NativeTable | undefined, options: NativeWriteOptions): NativeWriter
  checkOutput(path: string, mode: 'error' | 'overwrite' | 'append'): void
  cleanLeftovers(path: string): number
  writeRejects(path: string, items: NativeTable, queries: NativeTable | undefined, force: boolean): Promise<void>
  inspect(
    source: NativeSource,
    idCol: string | undefined,
    vectorCol: string | undefined,
    job: NativeJob,
  ): Promise<string>
  readResult(
    source: NativeSource,
    items: NativeTable,
    queries: NativeTable | undefined,
    job: NativeJob,
  ): Promise<NativeFoundResult>
  arrowFromIpc(bytes: Uint8Array): Answer<NativeArrow>
  /** An IPC stream with the schema that `withColumn` makes of one. */
  schemaWithColumn(schemaIpc: Uint8Array, name: string, expression: string): Uint8Array
  concatArrow(tables: NativeArrow[]): Answer<NativeArrow>
  /** No number is NaN or an infinity. */
  allFinite(values: Float32Array): boolean
  /** Several sources are one table. */
  openScan(
    sources: { path?: string; ipc?: Uint8Array }[],
    options: NativeScanOptions,
    job: NativeJob,
  ): Promise<NativeScan>
  createShuffle(options: NativeShuffleOptions): NativeShuffle
  createDatasetWriter(options: NativeDatasetWriterOptions): NativeDatasetWriter
  /** JSON: a `DeltaFacts`. */
  deltaSnapshot(path: string, version?: number, timestampMs?: number): Promise<string>
  isDeltaTable(path: string): boolean
}

/** What the log of a Delta table says of a version. */
export interface DeltaFacts {
  version: number
  timestampMs: number
  numFiles: number
  /** null where the log does not tell. */
  numRows: number | null
  sizeBytes: number
  deletedRows: number
  partitionColumns: string[]
  schema: { name: string; type: string; nullable: boolean }[]
}

export interface Progress {
  done: number
  /** 0 while unknown. */
  total: number
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: Progress) => void) | undefined
}

const POLL_MS = 100
let loaded: Addon | undefined

/** The addon, loaded on first use. */
export function addon(): Addon {
  if (loaded) return loaded
  const path = fileURLToPath(new URL('../native/nigh.node', import.meta.url))
  if (!existsSync(path)) {
    throw new NighError('NATIVE_MISSING', `the native addon is not built (${path}): run "npm run build"`)
  }
  try {
    loaded = createRequire(import.meta.url)(path) as Addon
  } catch (cause) {
    const message = `the native addon does not load here (${path}): run "npm run build" on this machine`
    throw new NighError('NATIVE_MISSING', message, { cause })
  }
  return loaded
}

/** Takes `CODE: message` apart. */
export function fromNative(error: unknown): unknown {
  if (error instanceof NighError || !(error instanceof Error)) return error
  const match = /^([A-Z][A-Z0-9_]+): ([\s\S]*)$/.exec(error.message)
  const code = ERROR_CODES.find((known) => known === match?.[1])
  return code
    ? new NighError(code, match![2]!, { cause: error })
    : new NighError('INTERNAL', error.message, { cause: error })
}

/** A short native call. */
export function callNow<T>(call: (native: Addon) => T): T {
  try {
    return call(addon())
  } catch (error) {
    throw fromNative(error)
  }
}

/** A call on something native that takes no job. */
export async function callOn<T>(work: () => Answer<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fromNative(error)
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal)
}

function cancelled(signal: AbortSignal): NighError {
  return new NighError('CANCELLED', 'cancelled', { cause: signal.reason })
}

/** A long native call: polled for progress, cancelled when the signal aborts. Its promise settles only once the work ended. */
export async function call<T>(start: (native: Addon, job: NativeJob) => Answer<T>, options: CallOptions): Promise<T> {
  const { signal, onProgress } = options
  throwIfAborted(signal)
  const native = addon()
  const job = new native.Job()
  const onAbort = () => job.cancel()
  signal?.addEventListener('abort', onAbort, { once: true })
  const report = () => onProgress?.({ done: job.done, total: job.total })
  const timer = onProgress && setInterval(report, POLL_MS)
  try {
    const result = await start(native, job)
    report()
    return result
  } catch (error) {
    const decoded = fromNative(error)
    throw signal?.aborted && decoded instanceof NighError && decoded.code === 'CANCELLED' ? cancelled(signal) : decoded
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}
