// What a task is told, as JSON.
import { ERROR_CODES, NighError } from '../../../errors.ts'

/** A function of nigh's own, or one that came with the task. */
export type TaskFunction = { builtin: string } | { hash: string; source: string; export: string }

export interface Task {
  fn: TaskFunction
  kind:
    | { name: 'map'; maxRecords: number }
    | { name: 'group'; columns: string[]; maxRecords: number }
    /** The function takes all tables and gives tables, and gets `options`. */
    | { name: 'stream'; options: unknown }
  /** What the function fails with: a row that says it, or the end of the task, which Spark then tries again. */
  errors: 'row' | 'raise'
  /** Tell the schema of the first table made, and nothing else. */
  learn: boolean
}

/** The column that tells what failed. */
export const ERROR_COLUMN = '__nigh_error'
/** Before the same in the words that a task leaves. */
export const ERROR_MARK = 'NIGH_ERROR: '

export interface SentFailure {
  code: string
  message: string
}

export function sentFailure(error: unknown): SentFailure {
  const { message, code } = error instanceof NighError ? error : { message: String(error), code: 'FUNCTION_FAILED' }
  return { code, message }
}

export function failureOf(json: string): NighError {
  const { code, message } = JSON.parse(json) as SentFailure
  return new NighError(ERROR_CODES.find((known) => known === code) ?? 'FUNCTION_FAILED', message)
}
