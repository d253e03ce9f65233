import type { Table } from 'apache-arrow'
import { readTable } from '../table/datasets.ts'
import { isTables, type TableInput } from '../table/source.ts'

/** The tables of an input, one after the other. May be asked for again. */
export function tablesOf(input: TableInput, signal?: AbortSignal): AsyncIterable<Table> {
  return { [Symbol.asyncIterator]: () => tables(input, signal) }
}

async function* tables(input: TableInput, signal: AbortSignal | undefined): AsyncGenerator<Table> {
  const dataset = isTables(input) ? input : await readTable(input, { signal })
  yield* dataset.tables({ signal })
}
