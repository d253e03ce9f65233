import { Table } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import type { TableInput } from '../table/source.ts'
import { type SaveOptions, saveDirectory } from './model-directory.ts'
import { explain, given, type ParamDoc } from './params.ts'
import { tablesOf } from './tables.ts'

/** A stage that adds a column to a table and has nothing to learn. */
export abstract class Transformer {
  abstract readonly kind: string
  abstract readonly options: object
  protected abstract readonly docs: readonly ParamDoc[]

  /** One table with the column. */
  protected abstract map(table: Table): Table | Promise<Table>

  /** A line for each param: what it does, its range, its default and its value. */
  explainParams(): string {
    return explain(this.docs, this.options)
  }

  /** The table with the column. */
  async transform(input: TableInput, { signal }: EngineCall = {}): Promise<Table> {
    const tables: Table[] = []
    for await (const table of this.tables(input, signal)) tables.push(table)
    const [first, ...more] = tables
    return first ? first.concat(...more) : new Table()
  }

  /** The same, one table after the other: no more than one is held. */
  tables(input: TableInput, signal?: AbortSignal): AsyncIterable<Table> {
    const given = tablesOf(input, signal)
    const map = (table: Table) => this.map(table)
    return {
      async *[Symbol.asyncIterator]() {
        for await (const table of given) yield await map(table)
      },
    }
  }

  /** Saves the params in a directory. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveDirectory(path, options, async () => ({ kind: this.kind, params: given(this.options), facts: {} }))
  }
}
