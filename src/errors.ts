/** The codes of docs/errors.md. They are stable; messages are not. */
export type ErrorCode =
  | 'INVALID_OPTION'
  | 'USAGE'
  | 'FILE_NOT_FOUND'
  | 'READ_FAILED'
  | 'INVALID_FILE'
  | 'COLUMN_NOT_FOUND'
  | 'COLUMN_TYPE'
  | 'NULL_VECTOR'
  | 'RAGGED_VECTOR'
  | 'NON_FINITE'
  | 'DIMENSION_MISMATCH'
  | 'OUTPUT_EXISTS'
  | 'WRITE_FAILED'
  | 'CANCELLED'
  | 'DISPOSED'
  | 'INVALID_ARGUMENT'
  | 'NATIVE_MISSING'
  | 'INTERNAL'
  | (string & {})

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
