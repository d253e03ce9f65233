// What goes between a dataset and its worker threads. Tables cross as Arrow IPC bytes whose memory changes hands.
import { ERROR_CODES, NighError } from '../../errors.ts'

export interface Work {
  id: number
  ipc: Uint8Array
}

/** The answer to one piece of work; without an id, the worker cannot work at all. */
export type Answer = { id: number; ipc: Uint8Array } | { id?: number; error: SentError }

/** An error as text: what was thrown may be nothing that can be sent. */
export interface SentError {
  name: string
  message: string
  stack: string | undefined
  code: string | undefined
}

export function toSent(thrown: unknown): SentError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown), stack: undefined, code: undefined }
  const { name, message, stack } = thrown
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  return { name, message, stack, code }
}

export function fromSent({ name, message, stack, code }: SentError): Error {
  const known = name === 'NighError' && ERROR_CODES.find((one) => one === code)
  const error = known ? new NighError(known, message) : Object.assign(new Error(message), { name })
  if (stack !== undefined) error.stack = stack
  return error
}

/** Memory that only these bytes are in, ready to be handed over. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isWhole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
  // A Buffer may be a piece of Node's pool, or memory of the addon that cannot change hands.
  return isWhole && !Buffer.isBuffer(bytes) ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}
