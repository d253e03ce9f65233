// A dataset is a chain of steps that run when it is read. Opening a step opens those before it and reads no row; reading pulls
// one batch at a time through all of them. A generator that is left early runs its `finally`, and so do those it pulls from.
import type { Schema } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { type CallOptions, throwIfAborted } from '../../native.ts'
import type { Batch } from '../batch.ts'

/** What one reading of a dataset goes by. */
export interface Run {
  signal: AbortSignal | undefined
  /** Nobody sees how large tables are: without a limit of the user's they are then kept small, for the sake of memory. */
  anySize?: boolean
}

/** Rows of a table where any number will do: enough that a native call weighs nothing. */
const ROWS_OF_ANY_SIZE = 65_536

/** The limit of a native stream; -1: none. */
export function mostRecords(maxRecords: number, run: Run): number {
  return maxRecords < 0 && run.anySize ? ROWS_OF_ANY_SIZE : maxRecords
}

export interface Step {
  open(run: Run): Promise<Opened>
}

/** A batch, and the partition it belongs to. */
export interface Placed {
  partition: number
  batch: Batch
}

/** A step about to be read. */
export interface Opened {
  /** What errors call each partition. */
  readonly partitions: readonly string[]
  /** Undefined as long as only a function can tell, and has not been called. */
  schema(): Schema | undefined
  /** The batches of some partitions, one partition after the other. The caller disposes of each batch. */
  read(partitions: readonly number[]): AsyncGenerator<Placed, void, undefined>
  /** Bytes read from files so far. */
  bytesRead(): number
  close(): Promise<void>
}

export const callOptions = (run: Run): CallOptions => ({ signal: run.signal })

/** Batches as they come, each after a look at the signal. */
export async function* reading(opened: Opened, run: Run, partitions?: readonly number[]): AsyncGenerator<Placed> {
  throwIfAborted(run.signal)
  for await (const placed of opened.read(partitions ?? [...opened.partitions.keys()])) {
    if (run.signal?.aborted) placed.batch.dispose()
    throwIfAborted(run.signal)
    yield placed
  }
}

/** The schema: known, or of the first table. */
export async function schemaOf(opened: Opened, run: Run): Promise<Schema> {
  const known = opened.schema()
  if (known) return known
  for await (const { batch } of reading(opened, run)) {
    batch.dispose()
    break
  }
  return learned(opened)
}

/** The schema after reading. */
export function learned(opened: Opened): Schema {
  const schema = opened.schema()
  if (schema) return schema
  const message = 'no table came from which the schema could be told: give it to the function step, as { schema }'
  throw new NighError('SCHEMA_UNKNOWN', message)
}

/** Where a function failed. */
export function failedIn(step: string, opened: Opened, partition: number, cause: unknown): unknown {
  if (cause instanceof NighError && cause.code === 'CANCELLED') return cause
  const name = opened.partitions[partition]
  const where = `${step}, partition ${partition}${name ? ` (${name})` : ''}`
  const message = `${where}: ${cause instanceof Error ? cause.message : String(cause)}`
  return new NighError(cause instanceof NighError ? cause.code : 'FUNCTION_FAILED', message, { cause })
}
