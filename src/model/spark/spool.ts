// Temporary files of a task. Spark's own directories are removed with the executor; a task that was killed leaves its files to the next one.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NAME = /^nigh-task-(\d+)$/

export class Spool implements Disposable {
  readonly directory: string
  readonly #files = new Map<string, string[]>()
  bytes = 0

  /** Below `directory`, or where Spark has its temporary files. */
  constructor(directory?: string) {
    const root = directory ?? process.env.SPARK_LOCAL_DIRS?.split(',')[0] ?? tmpdir()
    mkdirSync(root, { recursive: true })
    removeLeft(root)
    this.directory = join(root, `nigh-task-${process.pid}`)
    mkdirSync(this.directory, { recursive: true })
  }

  /** A file of a group. Those of one group come back in the order of `at`, a whole number. */
  add(group: string, at: number, bytes: Uint8Array, extension = 'arrows'): void {
    const files = this.#files.get(group) ?? []
    this.#files.set(group, files)
    const name = `${group}-${String(at).padStart(16, '0')}-${files.length}.${extension}`
    files.push(join(this.directory, name))
    writeFileSync(files.at(-1)!, bytes)
    this.bytes += bytes.length
  }

  /** Paths of a group in order. */
  files(group: string): string[] {
    return [...(this.#files.get(group) ?? [])].sort()
  }

  read(path: string): Uint8Array {
    return readFileSync(path)
  }

  remove(group: string): void {
    for (const path of this.files(group)) rmSync(path, { force: true })
    this.#files.delete(group)
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** What tasks of this machine left that are no more. */
function removeLeft(root: string): void {
  for (const name of readdirSync(root)) {
    const pid = NAME.exec(name)?.[1]
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    rmSync(join(root, name), { recursive: true, force: true })
  }
}
