import type { Schema, Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { Batch } from '../batch.ts'
import { allNullable, conform } from '../schema.ts'
import type { Opened, Placed, Step } from './step.ts'

/** Tables of at most maxRecords rows; -1: the table itself. */
export function* inPieces(table: Table, maxRecords: number): Generator<Batch> {
  if (maxRecords < 0 || table.numRows <= maxRecords) {
    yield Batch.ofTable(table)
    return
  }
  for (let first = 0; first < table.numRows; first += maxRecords) {
    yield Batch.ofTable(table.slice(first, first + maxRecords))
  }
}

/** Tables in memory, a partition each. */
export function tablesStep(tables: readonly Table[], schema: Schema, maxRecords: number): Step {
  return {
    open: async (): Promise<Opened> => ({
      partitions: tables.map((_, i) => `table ${i}`),
      schema: () => schema,
      async *read(partitions): AsyncGenerator<Placed> {
        for (const partition of partitions) {
          const table = conform(tables[partition]!, schema, `table ${partition}`)
          for (const batch of inPieces(table, maxRecords)) yield { partition, batch }
        }
      },
      bytesRead: () => 0,
      close: async () => {},
    }),
  }
}

export type TableIterable = Iterable<Table> | AsyncIterable<Table>

/** Tables as an iterable gives them, in one partition. A function that gives an iterable can be read again. */
export function iterableStep(
  source: TableIterable | (() => TableIterable),
  given: Schema | undefined,
  maxRecords: number,
): Step {
  let learned = given
  let isTaken = false
  const take = (): TableIterable => {
    if (typeof source === 'function') return source()
    // What is its own iterator goes by once; asking it would already start it.
    const once = (
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator] : source[Symbol.iterator]
    ) as () => unknown
    if (!isTaken || once.call(source) !== source) {
      isTaken = true
      return source
    }
    throw new NighError('ALREADY_READ', 'an iterator gives its tables once: pass a function that gives a new one')
  }
  return {
    open: async (): Promise<Opened> => ({
      partitions: [''],
      schema: () => learned,
      async *read(): AsyncGenerator<Placed> {
        for await (const table of take()) {
          learned ??= allNullable(table.schema)
          for (const batch of inPieces(conform(table, learned, 'fromIterable'), maxRecords))
            yield { partition: 0, batch }
        }
      },
      bytesRead: () => 0,
      close: async () => {},
    }),
  }
}
