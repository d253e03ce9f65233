// Where the files of a change are until it is whole: a directory beside the model, which the next change removes if this one was killed.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isAlive, writingFailed } from '../../../indexes/durable.ts'

/** Does some work with a directory of its own, beside `path`. What it leaves there goes. */
export async function staged<T>(path: string, work: (directory: string) => Promise<T>): Promise<T> {
  const prefix = `.${basename(path)}.nigh-change-`
  const parent = dirname(path)
  const directory = join(parent, `${prefix}${process.pid}-${randomBytes(6).toString('hex')}`)
  try {
    mkdirSync(directory, { recursive: true })
    for (const name of readdirSync(parent)) {
      const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : process.pid
      if (pid !== process.pid && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true })
    }
  } catch (error) {
    throw writingFailed(path, error)
  }
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
