// The only file that loads the addon, and the only one that knows how its errors and progress arrive.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { ERROR_CODES, NighError } from './errors.ts'

export type Metric = 'l2' | 'cosine' | 'dot'
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
  countDuplicateIds(): Promise<number>
}

/** What the metadata of a table tells. */
export interface TableSize {
  rows: number
  dim: number
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
}

export interface NativeClusters extends Disposable {
  readonly numLists: number
  readonly longestList: number
  /** Rows are rotated before they are coded: their dimensions are too uneven for codes of one step. */
  readonly isRotated: boolean
  /** Frees the codes until they are needed again. */
  dropCodes(): void
}

export interface NativeNeighbors extends Disposable {
  readonly k: number
  readonly numQueries: number
  readonly counts: Uint32Array
  readonly rows: Uint32Array
  readonly distances: Float32Array
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
  columns: string[]
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
  recall(truth: NativeNeighbors, found: NativeNeighbors): Float32Array
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
  /** JSON: a `DeltaFacts`. */
  deltaSnapshot(path: string, version?: number, timestampMs?: number): Promise<string>
  isDeltaTable(path: string): boolean
  createDeltaWriter(options: NativeDeltaOptions): Promise<NativeDeltaWriter>
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

export interface NativeDeltaOptions {
  path: string
  mode: 'error' | 'overwrite' | 'append'
  /** Of a new table; one that exists keeps its own. */
  partitionBy: string[]
  /** An Arrow IPC stream with the schema. */
  schemaIpc: Uint8Array
}

/** Rows on their way into a Delta table: nothing is seen of them before `finish`. */
export interface NativeDeltaWriter {
  /** Appends the rows of an Arrow IPC stream. */
  write(ipc: Uint8Array, job: NativeJob): Promise<void>
  finish(): Promise<{ rows: number; files: number; sizeBytes: number; version: number }>
  /** Removes what was written, unless it was finished. */
  abort(): Promise<void>
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
