import { join } from 'node:path'
import { addon, type CallOptions, call, callNow, type NativeTable } from '../native.ts'

/**
 * Fails before any work is done where writing could only fail after it: OUTPUT_FORMAT, OUTPUT_EXISTS, OUTPUT_UNWRITABLE, and
 * STORAGE_DENIED or STORAGE_UNREACHABLE of object stores.
 * Removes what killed processes left beside the path.
 */
export function checkOutput(path: string, mode: 'error' | 'overwrite' | 'append'): void {
  callNow(() => addon().cleanLeftovers(path))
  callNow(() => addon().checkOutput(path, mode))
}

/**
 * Removes what killed processes left among the temporary files (on most systems these have no name, and nothing is left), and
 * gives the room there; undefined where the system does not tell.
 */
export function temporaryRoom(directory: string): number | undefined {
  callNow(() => addon().cleanLeftovers(join(directory, 'spill')))
  return callNow(() => addon().freeDiskBytes(directory)) ?? undefined
}

/** Writes the rows that reading dropped: file, row, reason and message of each. */
export function writeRejects(
  path: string,
  items: NativeTable,
  queries: NativeTable | undefined,
  force: boolean,
  options: CallOptions,
): Promise<void> {
  return call((native) => native.writeRejects(path, items, queries, force), options)
}
