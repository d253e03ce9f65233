import type { Schema } from 'apache-arrow'
import { call, callNow, type NativeTableStream } from '../../native.ts'
import { Batch } from '../batch.ts'
import { emptyTable } from '../schema.ts'
import { callOptions, type Placed, type Run } from './step.ts'

/** The batches of a native stream; one without rows if it has none. Freed when it is left, early too. */
export async function* streamed(
  open: () => NativeTableStream,
  partition: number,
  schema: Schema,
  run: Run,
): AsyncGenerator<Placed> {
  const stream = callNow(open)
  let isEmpty = true
  try {
    for (;;) {
      const table = await call((_, job) => stream.next(job), callOptions(run))
      if (!table) break
      isEmpty = false
      yield { partition, batch: Batch.ofNative(table) }
    }
  } finally {
    stream.dispose()
  }
  if (isEmpty) yield { partition, batch: Batch.ofTable(emptyTable(schema)) }
}
