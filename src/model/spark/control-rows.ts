// Which tasks a job has: a row of numbers for each.
import type { Table } from 'apache-arrow'
import type { ExecuteOptions } from '../../engine/spark/connect/session.ts'
import type { Spark } from '../../engine/spark/spark.ts'
import type { SparkDataset } from '../../engine/spark/spark-dataset.ts'

/** A row and so a task for each number below `count`: rows that are dealt out may meet in one. */
export function controlRows(spark: Spark, count: number): SparkDataset {
  return spark.sql(`SELECT id FROM range(0, ${count}, 1, ${Math.max(1, count)})`)
}

/** The numbers of a task's control rows. */
export async function* numbersOf(control: AsyncIterable<Table>): AsyncGenerator<number> {
  for await (const table of control) for (const id of table.getChild('id')!) yield Number(id)
}

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
