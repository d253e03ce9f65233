import type { Schema, Table } from 'apache-arrow'
import { addon, callOn, type NativeArrow } from '../native.ts'
import { schemaFromIpc, tableFromIpc, tableToIpc } from './ipc.ts'
import { tableFromPieces } from './pieces.ts'

/**
 * A table on its way through a dataset: in native memory, as an apache-arrow Table, or both. Steps that are native never see the
 * Table; it is made when a function asks for it. Whoever is given a batch disposes of it.
 */
export class Batch {
  readonly numRows: number
  #native: NativeArrow | undefined
  #table: Table | undefined

  private constructor(numRows: number, native: NativeArrow | undefined, table: Table | undefined) {
    this.numRows = numRows
    this.#native = native
    this.#table = table
  }

  static ofNative(native: NativeArrow): Batch {
    return new Batch(native.numRows, native, undefined)
  }

  static ofTable(table: Table): Batch {
    return new Batch(table.numRows, undefined, table)
  }

  get isNative(): boolean {
    return this.#native !== undefined
  }

  /** The table in JavaScript's memory; the native one is given up for it. */
  async table(): Promise<Table> {
    if (this.#table) return this.#table
    const native = this.#native!
    const schema = this.schema()
    const pieces = await callOn(() => native.handOver())
    if (!pieces) return this.tableBeside()
    this.dispose()
    this.#table = tableFromPieces(schema, pieces)
    return this.#table
  }

  /** The table, for a step that asks for the native one afterwards: a copy. */
  async tableBeside(): Promise<Table> {
    this.#table ??= tableFromIpc(await this.ipc())
    return this.#table
  }

  /** Valid until the batch is disposed of. */
  async native(): Promise<NativeArrow> {
    this.#native ??= await callOn(() => addon().arrowFromIpc(tableToIpc(this.#table!)))
    return this.#native
  }

  /** An IPC stream of the table. */
  async ipc(): Promise<Uint8Array> {
    return this.#native ? callOn(() => this.#native!.toIpc()) : tableToIpc(this.#table!)
  }

  schema(): Schema {
    return this.#table?.schema ?? schemaFromIpc(this.#native!.schemaIpc())
  }

  /** Some consecutive rows. */
  slice(first: number, count: number): Batch {
    const { table, native } = { table: this.#table, native: this.#native }
    return table ? Batch.ofTable(table.slice(first, first + count)) : Batch.ofNative(native!.slice(first, count))
  }

  dispose(): void {
    this.#native?.dispose()
    this.#native = undefined
  }
}
