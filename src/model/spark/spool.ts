// Temporary files of a task. Spark's own directories are removed with the executor; a task that was killed leaves its files to the next one.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Containers have numbers of processes, and names of hosts, of their own. */
const OWN = `nigh-task-${hostname()}-`

export class Spool implements Disposable {
  readonly directory: string
  readonly #files = new Map<string, string[]>()
  bytes = 0

  /** Below `directory`, or where Spark has its temporary files. */
  constructor(directory?: string) {
    const root = directory ?? process.env.SPARK_LOCAL_DIRS?.split(',')[0] ?? tmpdir()
    mkdirSync(root, { recursive: true })
    removeLeft(root)
    this.directory = join(root, `${OWN}${process.pid}`)
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
  if (!existsSync('/proc/self')) return
  for (const name of readdirSync(root)) {
    if (!name.startsWith(OWN) || existsSync(`/proc/${name.slice(OWN.length)}`)) continue
    rmSync(join(root, name), { recursive: true, force: true })
  }
}
