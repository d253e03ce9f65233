import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { NighError } from '../errors.ts'

/** Fails before the work where writing could only fail after it. */
export function checkWritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK)
  } catch (cause) {
    throw new NighError('OUTPUT_UNWRITABLE', `${path}: its directory cannot be written to`, { cause })
  }
}

/** Writes a small file: complete or absent. */
export function writeFileAtomically(path: string, content: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.nigh-${process.pid}.tmp`)
  try {
    const file = openSync(temporary, 'w')
    try {
      writeSync(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw new NighError('OUTPUT_UNWRITABLE', `${path}: cannot be written: ${(cause as Error).message}`, { cause })
  }
}

/** A JSON file given with an option. */
export function readJson(path: string, option: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new NighError('INVALID_OPTION', `${option}: ${path} cannot be read as JSON: ${(cause as Error).message}`, {
      cause,
    })
  }
}
