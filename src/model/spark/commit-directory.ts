// A directory of files that tasks wrote, under its name all at once.
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { NighError } from '../../errors.ts'

/** Puts `parts` in the place of `out`; files that no finished attempt told of are left out. */
export function commitDirectory(parts: string, files: readonly string[], out: string): void {
  const counted = new Set(files)
  for (const name of readdirSync(parts)) if (!counted.has(name)) rmSync(join(parts, name), { recursive: true })
  const absent = files.find((name) => !existsSync(join(parts, name)))
  if (absent !== undefined) throw notSeen(join(parts, absent))
  const before = `${parts}.before`
  if (existsSync(out)) renameSync(out, before)
  try {
    renameSync(parts, out)
  } catch (cause) {
    if (existsSync(before)) renameSync(before, out)
    throw new NighError('OUTPUT_UNWRITABLE', `${out} cannot be put in its place`, { cause })
  }
}

export function notSeen(path: string): NighError {
  return new NighError('SPARK_STORAGE', `${path} was written by the cluster and is not there for this process`)
}
