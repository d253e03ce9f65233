// A directory of files that tasks wrote, under its name all at once.
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { NighError } from '../../errors.ts'
import { requireFile } from './storage-errors.ts'

/** Puts the directory of these files, of which there is one at least, in the place of `out`; what else is in it, of attempts that did not finish, is left out. */
export function commitDirectory(files: readonly string[], out: string): { files: number; version: undefined } {
  const parts = dirname(files[0]!)
  const counted = new Set(files)
  for (const name of readdirSync(parts))
    if (!counted.has(join(parts, name))) rmSync(join(parts, name), { recursive: true })
  files.forEach(requireFile)
  const before = `${parts}.before`
  if (existsSync(out)) renameSync(out, before)
  try {
    renameSync(parts, out)
  } catch (cause) {
    if (existsSync(before)) renameSync(before, out)
    throw new NighError('OUTPUT_UNWRITABLE', `${out} cannot be put in its place`, { cause })
  }
  return { files: files.length, version: undefined }
}
