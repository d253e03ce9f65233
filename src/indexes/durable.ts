// What directories at rest have in common: changes that are whole, on the disk, and told apart when they fail.
import { open } from 'node:fs/promises'
import { NighError } from '../errors.ts'

/** Brings the names in a directory to the disk. Not every system opens directories for this. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r').catch(() => undefined)
  await directory?.sync().catch(() => {})
  await directory?.close()
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The error of a path that could not be written: DISK_FULL or OUTPUT_UNWRITABLE, unless it is one of nigh's already. */
export function writingFailed(path: string, error: unknown): unknown {
  if (error instanceof NighError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new NighError('DISK_FULL', `${path}: the disk is full; free some space or save elsewhere`, { cause: error })
  }
  return new NighError('OUTPUT_UNWRITABLE', `${path}: cannot be written: ${message}`, { cause: error })
}
