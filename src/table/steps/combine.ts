// Steps over partitions as a whole, without moving rows between them: union, take.
import type { Schema } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { Batch } from '../batch.ts'
import { conform, difference, withNullable } from '../schema.ts'
import { type Opened, type Placed, reading, type Step } from './step.ts'

/** The partitions of several steps, one step after the other. */
export function unionStep(inputs: readonly Step[]): Step {
  return {
    open: async (run): Promise<Opened> => {
      const all = await openAll(inputs, (input) => input.open(run))
      const firsts = all.map((_, i) => all.slice(0, i).reduce((sum, { partitions }) => sum + partitions.length, 0))
      let schema: Schema | undefined
      const learn = () => {
        const known = all.map((opened) => opened.schema())
        if (!schema && known.every((one) => one !== undefined)) schema = unionSchema(known)
        return schema
      }
      try {
        learn()
      } catch (error) {
        await closeAll(all)
        throw error
      }
      return {
        partitions: all.flatMap(({ partitions }) => partitions),
        schema: learn,
        async *read(partitions): AsyncGenerator<Placed> {
          for (const partition of partitions) {
            const at = firsts.findLastIndex((first, i) => first <= partition && all[i]!.partitions.length > 0)
            for await (const { batch } of reading(all[at]!, run, [partition - firsts[at]!])) {
              yield { partition, batch: await under(learn(), batch, at) }
            }
          }
        },
        bytesRead: () => all.reduce((sum, opened) => sum + opened.bytesRead(), 0),
        close: () => closeAll(all),
      }
    },
  }
}

async function under(schema: Schema | undefined, batch: Batch, dataset: number): Promise<Batch> {
  // Native steps compare by name and type themselves.
  if (batch.isNative || !schema) return batch
  return Batch.ofTable(conform(await batch.table(), schema, `union: dataset ${dataset}`))
}

function unionSchema(schemas: readonly Schema[]): Schema {
  const [first, ...others] = schemas
  for (const [i, other] of others.entries()) {
    const wrong = difference(other, first!)
    if (wrong) throw new NighError('SCHEMA_MISMATCH', `union: in dataset ${i + 1}, ${wrong}`)
  }
  return others.reduce(withNullable, first!)
}

async function openAll(inputs: readonly Step[], open: (input: Step) => Promise<Opened>): Promise<Opened[]> {
  const all: Opened[] = []
  try {
    for (const input of inputs) all.push(await open(input))
    return all
  } catch (error) {
    await closeAll(all)
    throw error
  }
}

async function closeAll(all: readonly Opened[]): Promise<void> {
  await Promise.all(all.map((opened) => opened.close()))
}

/** The first rows, in one partition; reading ends with the last of them. */
export function takeStep(input: Step, count: number): Step {
  return {
    open: async (run): Promise<Opened> => {
      const opened = await input.open(run)
      return {
        ...opened,
        partitions: [''],
        async *read(): AsyncGenerator<Placed> {
          let left = count
          for await (const { batch } of reading(opened, run)) {
            const kept = batch.numRows <= left ? batch : batch.slice(0, left)
            if (kept !== batch) batch.dispose()
            left -= kept.numRows
            yield { partition: 0, batch: kept }
            if (left <= 0) return
          }
        },
      }
    },
  }
}

/** All rows in one partition, as they come. */
export function onePartition(input: Step): Step {
  return {
    open: async (run): Promise<Opened> => {
      const opened = await input.open(run)
      return {
        ...opened,
        partitions: [''],
        async *read(): AsyncGenerator<Placed> {
          for await (const { batch } of reading(opened, run)) yield { partition: 0, batch }
        },
      }
    },
  }
}
