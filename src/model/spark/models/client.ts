// What the tasks of a stage tell, on the client.
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { unseen } from '../storage-errors.ts'
import { TOLD, toldBy } from './blocks.ts'

/** What the tasks of a stage tell. */
export async function told<T>(input: SparkDataset, stage: string, options: unknown, run: ExecuteOptions): Promise<T[]> {
  try {
    return await toldBy<T>(input.stage(stage, options, TOLD), run)
  } catch (error) {
    throw unseen(error)
  }
}
