import type { Schema } from 'apache-arrow'
import { throwIfAborted } from '../../native.ts'
import type { Batch } from '../batch.ts'
import { tableFromIpc } from '../ipc.ts'
import { WorkerPool } from '../workers/pool.ts'
import type { WorkerFunction } from '../workers/worker-function.ts'
import { checked } from './functions.ts'
import { failedIn, type Opened, type Placed, type Run, reading, type Step } from './step.ts'

/** Tables with each worker: one that it works on, one that waits so that it never does. */
const IN_FLIGHT = 2

/** A function over each table in worker threads; tables come out in the order they went in, across partitions. */
export function workerMapStep(input: Step, fn: WorkerFunction, numWorkers: number, given: Schema | undefined): Step {
  return {
    open: async (run): Promise<Opened> => {
      const opened = await input.open({ ...run, anySize: false })
      let schema = given
      const learn = (made: Schema) => {
        schema ??= made
        return schema
      }
      return {
        ...opened,
        schema: () => schema,
        read: (partitions) =>
          mapped(opened, run, partitions, fn, numWorkers, (bytes) => {
            return checked(tableFromIpc(bytes), given, learn)
          }),
      }
    },
  }
}

async function* mapped(
  opened: Opened,
  run: Run,
  partitions: readonly number[],
  fn: WorkerFunction,
  numWorkers: number,
  received: (bytes: Uint8Array) => Batch,
): AsyncGenerator<Placed> {
  const source = reading(opened, run, partitions)
  const inFlight: { partition: number; made: Promise<Uint8Array> }[] = []
  // Which partition fails first is known only where it fails.
  let failed: unknown
  const pool = new WorkerPool(fn, numWorkers)
  const onAbort = () => void pool.close()
  run.signal?.addEventListener('abort', onAbort, { once: true })
  const send = async ({ partition, batch }: Placed) => {
    try {
      const made = pool.run(await batch.ipc())
      made.catch((error) => {
        failed ??= failedIn('map', opened, partition, error)
      })
      inFlight.push({ partition, made })
    } finally {
      batch.dispose()
    }
  }
  try {
    let isEnd = false
    for (;;) {
      while (!isEnd && inFlight.length < numWorkers * IN_FLIGHT) {
        const next = await source.next()
        if (next.done) isEnd = true
        else await send(next.value)
      }
      const first = inFlight.shift()
      if (!first) return
      let batch: Batch
      try {
        batch = received(await first.made)
      } catch (error) {
        throwIfAborted(run.signal)
        throw failed ?? failedIn('map', opened, first.partition, error)
      }
      yield { partition: first.partition, batch }
    }
  } finally {
    run.signal?.removeEventListener('abort', onAbort)
    await pool.close()
    await source.return(undefined)
  }
}
