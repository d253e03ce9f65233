// What the parts of a join share on the client.
import { Field, Schema, type Table, Utf8 } from 'apache-arrow'
import type { ExecuteOptions, SparkProgress, SparkSession } from '../../engine/spark/connect/session.ts'
import type { Spark } from '../../engine/spark/spark.ts'
import type { SparkDataset } from '../../engine/spark/spark-dataset.ts'
import { unseen } from './storage-errors.ts'

/** What of a join runs. */
export type SparkPhase = 'read' | 'sample' | 'truth' | 'join'

export interface SparkJoinProgress extends SparkProgress {
  phase: SparkPhase
}

export interface RunContext {
  spark: Spark
  signal: AbortSignal | undefined
  tags: readonly string[] | undefined
  onProgress: ((progress: SparkJoinProgress) => void) | undefined
}

export function executeOptions({ signal, tags, onProgress }: RunContext, phase: SparkPhase): ExecuteOptions {
  return { signal, tags, onProgress: onProgress && ((progress) => onProgress({ ...progress, phase })) }
}

export const DONE_SCHEMA: Schema = new Schema([new Field('done', new Utf8(), true)])

/** The tables of a job as they come. */
export async function* streamed(
  dataset: SparkDataset,
  context: RunContext,
  phase: SparkPhase,
): AsyncGenerator<Table, void, undefined> {
  try {
    yield* dataset.tables(executeOptions(context, phase))
  } catch (error) {
    throw unseen(error)
  }
}

/** All of them. */
export async function collected(dataset: SparkDataset, context: RunContext, phase: SparkPhase): Promise<Table[]> {
  const tables: Table[] = []
  for await (const table of streamed(dataset, context, phase)) tables.push(table)
  return tables
}

/** What tasks tell as JSON. */
export function told<T>(tables: readonly Table[]): T[] {
  return tables.flatMap((table) => [...table.getChildAt(0)!].map((text) => JSON.parse(text) as T))
}

const RECORDS = 'spark.sql.execution.arrow.maxRecordsPerBatch'
/** Blocks are megabytes: few of them go to a task at once. */
const BLOCKS_AT_ONCE = '8'
const narrowed = new WeakMap<SparkSession, { users: number; before: Promise<string | undefined> }>()

/** Runs work whose rows are large blocks, and leaves the session as it was. */
export async function withLargeRows<T>(session: SparkSession, work: () => Promise<T>): Promise<T> {
  let use = narrowed.get(session)
  if (!use) {
    use = { users: 0, before: session.getConfig(RECORDS) }
    narrowed.set(session, use)
  }
  use.users++
  try {
    await use.before
    await session.setConfig({ [RECORDS]: BLOCKS_AT_ONCE })
    return await work()
  } finally {
    if (--use.users === 0) {
      narrowed.delete(session)
      await session.setConfig({ [RECORDS]: (await use.before) ?? '10000' }).catch(() => {})
    }
  }
}
