// Rows to other partitions. All of the input is read before the first row comes out: to memory up to a budget, to temporary files
// beyond it.
import { tmpdir } from 'node:os'
import type { Schema, Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { addon, callNow, callOn, type NativeArrow, type NativeShuffle } from '../../native.ts'
import type { Batch } from '../batch.ts'
import { memoryBytes } from '../budget.ts'
import { schemaToIpc } from '../ipc.ts'
import { selected } from '../schema.ts'
import { failedIn, mostRecords, type Opened, type Placed, type Run, reading, type Step } from './step.ts'
import { streamed } from './streamed.ts'

/** Where rows go. `add` hands a batch to the shuffle. */
export interface Routing {
  name: string
  add(shuffle: NativeShuffle, batch: Batch, native: NativeArrow): Promise<void>
  /** Refuses a schema that has no such column. */
  check(schema: Schema): void
}

export interface Shuffling {
  numPartitions: number | undefined
  memory: number | string | undefined
  tmp: string | undefined
  maxRecords: number
}

const DEFAULT_MEMORY = '25%'

export function shuffleStep(input: Step, makeRouting: (numPartitions: number) => Routing, shuffling: Shuffling): Step {
  return {
    open: async (run): Promise<Opened> => {
      const opened = await input.open({ ...run, anySize: true })
      const numPartitions = shuffling.numPartitions ?? Math.max(1, opened.partitions.length)
      const routing = makeRouting(numPartitions)
      const known = opened.schema()
      try {
        if (known) routing.check(known)
      } catch (error) {
        await opened.close()
        throw error
      }
      let filling: Promise<NativeShuffle | undefined> | undefined
      return {
        partitions: Array.from({ length: numPartitions }, () => ''),
        schema: () => opened.schema(),
        async *read(partitions): AsyncGenerator<Placed> {
          filling ??= filled(opened, run, routing, numPartitions, shuffling)
          const shuffle = await filling
          if (!shuffle) return
          for (const partition of partitions) {
            const maxRecords = mostRecords(shuffling.maxRecords, run)
            yield* streamed(() => shuffle.open(partition, maxRecords), partition, opened.schema()!, run)
          }
        },
        bytesRead: () => opened.bytesRead(),
        close: async () => {
          const shuffle = await filling?.catch(() => undefined)
          shuffle?.dispose()
          await opened.close()
        },
      }
    },
  }
}

/** A shuffle with all rows in it; undefined without a batch to tell the schema. */
async function filled(
  opened: Opened,
  run: Run,
  routing: Routing,
  numPartitions: number,
  { memory, tmp }: Shuffling,
): Promise<NativeShuffle | undefined> {
  let shuffle: NativeShuffle | undefined
  const start = (schema: Schema) => {
    routing.check(schema)
    const options = {
      numPartitions,
      schemaIpc: schemaToIpc(schema),
      memoryBytes: memoryBytes(memory ?? DEFAULT_MEMORY),
      dir: tmp ?? tmpdir(),
    }
    return callNow(() => addon().createShuffle(options))
  }
  try {
    for await (const { partition, batch } of reading(opened, run)) {
      try {
        shuffle ??= start(opened.schema() ?? batch.schema())
        const native = await batch.native()
        await routing.add(shuffle, batch, native).catch((error) => {
          throw failedIn(routing.name, opened, partition, error)
        })
      } finally {
        batch.dispose()
      }
    }
    const schema = opened.schema()
    return shuffle ?? (schema && start(schema))
  } catch (error) {
    shuffle?.dispose()
    throw error
  }
}

/** Row after row to the next partition: all get the same number of rows, but for one. */
export function roundRobin(numPartitions: number): Routing {
  let next = 0
  return {
    name: 'repartition',
    check: () => {},
    add: async (shuffle, batch, native) => {
      const first = next
      const partitions = Uint32Array.from({ length: batch.numRows }, (_, i) => (first + i) % numPartitions)
      next = (first + batch.numRows) % numPartitions
      await callOn(() => shuffle.add(native, partitions))
    },
  }
}

/** Equal keys to the same partition. */
export function byKey(name: string, columns: readonly string[]): Routing {
  return {
    name,
    check: (schema) => {
      selected(schema, columns)
    },
    add: (shuffle, _, native) => callOn(() => shuffle.addByKey(native, [...columns])),
  }
}

/** The number of the partition of each row of a table. */
export type PartitionFunction = (table: Table) => ArrayLike<number> | Promise<ArrayLike<number>>

export function byFunction(fn: PartitionFunction, numPartitions: number): Routing {
  return {
    name: 'partitionBy',
    check: () => {},
    add: async (shuffle, batch, native) => {
      const numbers = await fn(await batch.tableBeside())
      if (numbers?.length !== batch.numRows) {
        const message = `the function gave ${numbers?.length} numbers for ${batch.numRows} rows`
        throw new NighError('FUNCTION_FAILED', message)
      }
      for (let i = 0; i < numbers.length; i++) {
        const number = numbers[i]!
        if (Number.isInteger(number) && number >= 0 && number < numPartitions) continue
        throw new NighError(
          'FUNCTION_FAILED',
          `the function gave ${number} for row ${i}: there are ${numPartitions} partitions`,
        )
      }
      await callOn(() => shuffle.add(native, Uint32Array.from(numbers)))
    },
  }
}
