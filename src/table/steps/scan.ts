import { call, callNow, type NativeScan, type NativeScanOptions, type NativeSource } from '../../native.ts'
import { schemaFromIpc } from '../ipc.ts'
import { callOptions, type Opened, type Placed, type Run, type Step } from './step.ts'
import { streamed } from './streamed.ts'

/** What a scan reads, and how much of it at once. */
export interface Scanning {
  sources: NativeSource[]
  options: NativeScanOptions
  maxRecords: number
}

/**
 * Tables from files. The files are looked at once, when the step is first opened: all readings see the same snapshot. Columns and
 * filters of the steps after it are taken into it, so that no other bytes are read.
 */
export class ScanStep implements Step {
  readonly #scanning: Scanning
  #scan: Promise<NativeScan> | undefined

  constructor(scanning: Scanning) {
    this.#scanning = scanning
  }

  withColumns(columns: readonly string[]): ScanStep {
    return new ScanStep({ ...this.#scanning, options: { ...this.#scanning.options, columns: [...columns] } })
  }

  withFilter(where: string): ScanStep {
    const { filter } = this.#scanning.options
    // On lines of their own: a filter may end in a comment.
    const both = filter === undefined ? where : `(${filter}\n) and (${where}\n)`
    return new ScanStep({ ...this.#scanning, options: { ...this.#scanning.options, filter: both } })
  }

  get hasFilter(): boolean {
    return this.#scanning.options.filter !== undefined
  }

  /** Rows by the metadata of the files; not those of a filter. */
  async numRows(run: Run): Promise<number> {
    const { partitions } = await this.#opened(run)
    return partitions.reduce((sum, partition) => sum + partition.numRows, 0)
  }

  async open(run: Run): Promise<Opened> {
    const scan = await this.#opened(run)
    const schema = schemaFromIpc(callNow(() => scan.schemaIpc()))
    const { maxRecords } = this.#scanning
    const before = scan.bytesRead
    return {
      partitions: scan.partitions.map((partition) => partition.name),
      schema: () => schema,
      async *read(partitions): AsyncGenerator<Placed> {
        for (const partition of partitions) {
          yield* streamed(() => scan.open(partition, maxRecords), partition, schema, run)
        }
      },
      bytesRead: () => scan.bytesRead - before,
      close: async () => {},
    }
  }

  async #opened(run: Run): Promise<NativeScan> {
    const { sources, options } = this.#scanning
    // A failure is not kept: the file may be there the next time.
    this.#scan ??= call((native, job) => native.openScan(sources, options, job), callOptions(run)).catch((error) => {
      this.#scan = undefined
      throw error
    })
    return this.#scan
  }
}
