// What this process and the tasks of a cluster do not see alike.
import { existsSync } from 'node:fs'
import { NighError } from '../../errors.ts'

const NOT_SEEN = new Set(['FILE_NOT_FOUND', 'NOT_A_TABLE', 'OUTPUT_UNWRITABLE'])

/** What this process has seen, the tasks do not. */
export function unseen(error: unknown): unknown {
  if (!(error instanceof NighError) || !NOT_SEEN.has(error.code)) return error
  return new NighError('SPARK_STORAGE', `in a task of the cluster: ${error.message}`, { cause: error })
}

/** Fails where a file that a task wrote is not there for this process. */
export function requireFile(path: string): void {
  if (existsSync(path)) return
  throw new NighError('SPARK_STORAGE', `${path} was written by the cluster and is not there for this process`)
}
