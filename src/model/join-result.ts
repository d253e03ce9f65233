import { type Table, tableFromIPC } from 'apache-arrow'
import { NighError } from '../errors.ts'
import type { JoinReport } from '../join/report.ts'

/** What a join gave: where its table is, and what it took. */
export class JoinResult {
  readonly report: JoinReport
  /** Where the table was written, if a path was given. */
  readonly path: string | undefined
  /** The table as an Arrow IPC stream, if no path was given. */
  readonly ipc: Uint8Array | undefined

  constructor(report: JoinReport, path: string | undefined, ipc: Uint8Array | undefined) {
    this.report = report
    this.path = path
    this.ipc = ipc
  }

  /** The table, for results that were not written to a path. */
  table(): Table {
    if (!this.ipc) throw new NighError('INVALID_OPTION', `the result was written to ${this.path}: read it from there`)
    return tableFromIPC(this.ipc)
  }
}
