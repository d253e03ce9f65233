/** The codes of docs/errors.md. They are stable; messages are not. */
export const ERROR_CODES = [
  'INVALID_OPTION',
  'USAGE',
  'CANCELLED',
  'DISPOSED',
  'NATIVE_MISSING',
  'INTERNAL',
  'INVALID_ARGUMENT',
  'DIMENSION_MISMATCH',
  'FILE_NOT_FOUND',
  'FILE_UNREADABLE',
  'NOT_A_TABLE',
  'CORRUPT_FILE',
  'COLUMN_NOT_FOUND',
  'COLUMN_TYPE',
  'COLUMN_CONFLICT',
  'NULL_VECTOR',
  'RAGGED_VECTOR',
  'INVALID_VECTOR',
  'INVALID_VALUE',
  'NULL_ID',
  'NULL_PARTITION',
  'UNKNOWN_ID',
  'SCHEMA_MISMATCH',
  'SCHEMA_UNKNOWN',
  'ALREADY_READ',
  'FUNCTION_FAILED',
  'FILTER_INVALID',
  'NOT_A_DELTA_TABLE',
  'DELTA_VERSION',
  'DELTA_UNSUPPORTED',
  'DELTA_CONFLICT',
  'STORAGE_DENIED',
  'STORAGE_UNREACHABLE',
  'OUTPUT_EXISTS',
  'OUTPUT_UNWRITABLE',
  'OUTPUT_FORMAT',
  'DISK_FULL',
  'TOO_LARGE',
  'TMP_DISK_FULL',
  'TMP_UNWRITABLE',
  'MEMORY_TOO_SMALL',
  'NOT_A_MODEL',
  'CORRUPT_MODEL',
  'MODEL_VERSION',
  'MODEL_EXISTS',
  'NOT_AN_INDEX',
  'CORRUPT_INDEX',
  'INDEX_VERSION',
  'INDEX_EXISTS',
  'INDEX_CHANGED',
  'INDEX_BUSY',
  'MODEL_NOT_FITTED',
  'SPARK_UNREACHABLE',
  'SPARK_DENIED',
  'SPARK_VERSION',
  'SPARK_FAILED',
  'SPARK_WORKER',
  'SPARK_STORAGE',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** What every call of nigh fails with: a stable code, the facts that clash, and the cause where there is one. */
export class NighError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'NighError'
    this.code = code
  }
}

/** A wrong parameter, by name. */
export function invalidOption(name: string, message: string): NighError {
  return new NighError('INVALID_OPTION', `${name}: ${message}`)
}
