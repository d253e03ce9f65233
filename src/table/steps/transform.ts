// Steps that make of each table others: filter, select, map, flatMap, withColumn.
import type { Schema } from 'apache-arrow'
import { callNow, callOn } from '../../native.ts'
import { Batch } from '../batch.ts'
import { schemaFromIpc, schemaToIpc } from '../ipc.ts'
import { columnsOf, selected } from '../schema.ts'
import { failedIn, type Opened, type Placed, type Run, reading, type Step } from './step.ts'

export interface Transform {
  /** The step's name in errors. */
  name: string
  /** A function of the user's is given the tables: they are of the size asked for. */
  seesTables: boolean
  /** What it makes of a schema; undefined if only the tables can tell. Throws what the user has to change. */
  schema(input: Schema): Schema | undefined
  /**
   * The batches made of one. Those that are not the given one are the caller's; the given one is disposed of by the caller.
   * `learn` takes the schema of what was made.
   */
  apply(batch: Batch, learn: (schema: Schema) => Schema): AsyncGenerator<Batch> | Generator<Batch>
}

export function transformStep(input: Step, transform: Transform): Step {
  return {
    open: async (run) => {
      const opened = await input.open(transform.seesTables ? { ...run, anySize: false } : run)
      const known = opened.schema()
      let schema: Schema | undefined = known && transform.schema(known)
      const learn = (made: Schema) => {
        schema ??= made
        return schema
      }
      return {
        partitions: opened.partitions,
        schema: () => schema,
        read: (partitions) => transformed(opened, run, partitions, transform, learn),
        bytesRead: () => opened.bytesRead(),
        close: () => opened.close(),
      } satisfies Opened
    },
  }
}

async function* transformed(
  opened: Opened,
  run: Run,
  partitions: readonly number[],
  transform: Transform,
  learn: (schema: Schema) => Schema,
): AsyncGenerator<Placed> {
  for await (const { partition, batch } of reading(opened, run, partitions)) {
    let isPassed = false
    const made = transform.apply(batch, learn)
    try {
      for (;;) {
        const next = await step(made, transform.name, opened, partition)
        if (next.done) break
        isPassed ||= next.value === batch
        yield { partition, batch: next.value }
      }
    } finally {
      await made.return(undefined)
      if (!isPassed) batch.dispose()
    }
  }
}

async function step(
  made: AsyncGenerator<Batch> | Generator<Batch>,
  name: string,
  opened: Opened,
  partition: number,
): Promise<IteratorResult<Batch>> {
  try {
    return await made.next()
  } catch (error) {
    throw failedIn(name, opened, partition, error)
  }
}

/** Some columns, in the order given. */
export function selecting(columns: readonly string[]): Transform {
  return {
    name: 'select',
    seesTables: false,
    schema: (input) => selected(input, columns),
    async *apply(batch, learn) {
      if (batch.isNative) {
        const native = await batch.native()
        learn(selected(batch.schema(), columns))
        yield Batch.ofNative(await callOn(() => native.select([...columns])))
        return
      }
      const table = await batch.table()
      const schema = learn(selected(table.schema, columns))
      const indices = columns.map((name) => table.schema.fields.findIndex((field) => field.name === name))
      yield Batch.ofTable(columnsOf(table, schema, indices))
    },
  }
}

/** The rows for which a SQL where expression holds. */
export function filtering(where: string): Transform {
  return {
    name: 'filter',
    seesTables: false,
    schema: (input) => input,
    async *apply(batch, learn) {
      const native = await batch.native()
      learn(batch.schema())
      yield Batch.ofNative(await callOn(() => native.filter(where)))
    },
  }
}

/** A column more, or in place of the one of that name: the value of a SQL expression. */
export function computing(name: string, expression: string): Transform {
  return {
    name: `withColumn ${JSON.stringify(name)}`,
    seesTables: false,
    schema: (input) => schemaFromIpc(callNow((addon) => addon.schemaWithColumn(schemaToIpc(input), name, expression))),
    async *apply(batch, learn) {
      const native = await batch.native()
      const made = Batch.ofNative(await callOn(() => native.withColumn(name, expression)))
      learn(made.schema())
      yield made
    },
  }
}
