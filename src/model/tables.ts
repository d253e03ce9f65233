import type { Table } from 'apache-arrow'
import { readTable } from '../table/datasets.ts'
import { tableFromIpc, tableToIpc } from '../table/ipc.ts'
import { atLeastOne, isTables, type TableInput } from '../table/source.ts'

/** The tables of an input, one after the other; one without rows where there is none. May be asked for again. */
export function tablesOf(input: TableInput, signal?: AbortSignal): AsyncIterable<Table> {
  return { [Symbol.asyncIterator]: () => tables(input, signal) }
}

async function* tables(input: TableInput, signal: AbortSignal | undefined): AsyncGenerator<Table> {
  const dataset = isTables(input) ? input : await readTable(input, { signal })
  for await (const table of atLeastOne(dataset, signal)) {
    // apache-arrow's own tables without rows have lists without elements: not even empty ones.
    yield table.numRows === 0 ? tableFromIpc(tableToIpc(table)) : table
  }
}
