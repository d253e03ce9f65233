// What the client does for every job: control rows, and errors that say where they come from.
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { NighError } from '../../../errors.ts'
import { TOLD, toldBy } from './blocks.ts'

/** A row, and so a task, for each number from 0 on. */
export const numbers = (spark: Spark, count: number): SparkDataset =>
  spark.sql(`SELECT id FROM range(0, ${count}, 1, ${Math.max(1, count)})`)

const known = new WeakMap<Spark, Promise<number>>()

/** How many tasks the cluster runs by default; asked once a session. */
export function parallelism(spark: Spark, run: ExecuteOptions): Promise<number> {
  let asked = known.get(spark)
  if (!asked) {
    asked = askedOf(spark, run)
    known.set(spark, asked)
    asked.catch(() => known.delete(spark))
  }
  return asked
}

async function askedOf(spark: Spark, run: ExecuteOptions): Promise<number> {
  const [row] = await spark
    .sql('SELECT count(DISTINCT p) AS n FROM (SELECT spark_partition_id() AS p FROM range(0, 10000))')
    .toRows(run)
  return Math.max(1, Number(row?.n))
}

/** What the tasks of a stage tell. */
export async function told<T>(input: SparkDataset, stage: string, options: unknown, run: ExecuteOptions): Promise<T[]> {
  try {
    return await toldBy<T>(input.stage(stage, options, TOLD), run)
  } catch (error) {
    throw unseen(error)
  }
}

const NOT_SEEN = new Set(['FILE_NOT_FOUND', 'NOT_A_TABLE', 'OUTPUT_UNWRITABLE'])

/** What this process has seen, the tasks do not. */
export function unseen(error: unknown): unknown {
  if (!(error instanceof NighError) || !NOT_SEEN.has(error.code)) return error
  return new NighError('SPARK_STORAGE', `in a task of the cluster: ${error.message}`, { cause: error })
}
