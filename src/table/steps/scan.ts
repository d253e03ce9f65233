import {
  addon,
  call,
  callNow,
  callOn,
  type NativeScan,
  type NativeScanOptions,
  type NativeSource,
} from '../../native.ts'
import { schemaFromIpc } from '../ipc.ts'
import { callOptions, mostRecords, type Opened, type Placed, type Run, type Step } from './step.ts'
import { streamed } from './streamed.ts'

/** What a scan reads, and how much of it at once. */
export interface Scanning {
  sources: NativeSource[]
  options: NativeScanOptions
  maxRecords: number
  /** Filters that came after the columns were chosen, and may use no others. */
  lateFilter?: string
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

  /** The scan of some of its columns; undefined if they cannot be asked of the files, but have to be looked for in its tables. */
  withColumns(columns: readonly string[]): ScanStep | undefined {
    const { options, lateFilter } = this.#scanning
    const isSubset = columns.every(
      (name, i) => columns.indexOf(name) === i && (options.columns?.includes(name) ?? true),
    )
    if (!isSubset || lateFilter !== undefined) return undefined
    return new ScanStep({ ...this.#scanning, options: { ...options, columns: [...columns] } })
  }

  withFilter(where: string): ScanStep {
    const { options, lateFilter } = this.#scanning
    const filter = both(options.filter, where)
    return new ScanStep({
      ...this.#scanning,
      options: { ...options, filter },
      ...(options.columns === undefined ? {} : { lateFilter: both(lateFilter, where) }),
    })
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
    const maxRecords = mostRecords(this.#scanning.maxRecords, run)
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
    // A failure is not kept: the file may be there the next time.
    this.#scan ??= opened(this.#scanning, run).catch((error) => {
      this.#scan = undefined
      throw error
    })
    return this.#scan
  }
}

async function opened({ sources, options, lateFilter }: Scanning, run: Run): Promise<NativeScan> {
  const scan = await call((native, job) => native.openScan(sources, options, job), callOptions(run))
  if (lateFilter === undefined) return scan
  const empty = await callOn(() => addon().arrowFromIpc(scan.schemaIpc()))
  ;(await callOn(() => empty.filter(lateFilter))).dispose()
  empty.dispose()
  return scan
}

/** On lines of their own: a filter may end in a comment. */
function both(first: string | undefined, second: string): string {
  return first === undefined ? second : `(${first}\n) and (${second}\n)`
}
