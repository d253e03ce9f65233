// A Delta table whose files tasks write, and whose one commit the client makes. Its transaction begins before the tasks do: what others
// commit meanwhile is met as by any writer.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { call, callNow, callOn, type NativeDatasetWriter } from '../../native.ts'
import { tableFromIpc } from '../../table/ipc.ts'

/** Files that a task completed: rows of what the log is to say, as base64 of an Arrow IPC stream. */
export interface DeltaFiles {
  actions: string
  rows: number[]
}

export interface DeltaTarget {
  path: string
  mode: 'error' | 'overwrite' | 'append'
}

export class DeltaCommit {
  readonly #target: DeltaTarget
  readonly #writer: NativeDatasetWriter
  /** Nothing was there before. */
  readonly #isNew: boolean

  private constructor(target: DeltaTarget, writer: NativeDatasetWriter, isNew: boolean) {
    this.#target = target
    this.#writer = writer
    this.#isNew = isNew
  }

  /** OUTPUT_EXISTS, SCHEMA_MISMATCH and what else is wrong with the table is told before any task runs. */
  static begin(target: DeltaTarget, schemaIpc: Uint8Array): DeltaCommit {
    const { path, mode } = target
    const isNew = !existsSync(path)
    const options = { path, format: 'delta' as const, mode, partitionBy: [], schemaIpc }
    const writer = callNow((native) => native.createDatasetWriter(options))
    return new DeltaCommit(target, writer, isNew)
  }

  /** Commits what `counted` attempts told, and removes the files of others that told in `directory`. */
  async commit(directory: string, counted: readonly string[]): Promise<{ version: number; files: number }> {
    for (const path of counted) {
      const { actions, rows } = JSON.parse(readFileSync(path, 'utf8')) as DeltaFiles
      await callOn(() => this.#writer.adopt(Buffer.from(actions, 'base64'), rows))
    }
    this.#removeOthers(directory, new Set(counted))
    const { version, files } = await call((_, job) => this.#writer.finish(job), {})
    return { version: version!, files }
  }

  /** Leaves nothing of what the tasks wrote, as far as they told; of a new table nothing at all. */
  async abort(directory: string): Promise<void> {
    await callOn(() => this.#writer.abort())
    this.#removeOthers(directory, new Set())
    const { path } = this.#target
    const log = join(path, '_delta_log')
    if (this.#isNew && (!existsSync(log) || readdirSync(log).length === 0))
      rmSync(path, { recursive: true, force: true })
  }

  #removeOthers(directory: string, counted: ReadonlySet<string>): void {
    const told = existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: 'utf8' }) : []
    for (const name of told) {
      const file = join(directory, name)
      if (!/(^|\/)part-[^/]*\.json$/.test(name) || counted.has(file)) continue
      const { actions } = JSON.parse(readFileSync(file, 'utf8')) as DeltaFiles
      const table = tableFromIpc(Buffer.from(actions, 'base64'))
      for (const path of table.getChild('path') ?? []) {
        rmSync(join(this.#target.path, decodeURIComponent(path)), { force: true })
      }
    }
  }
}
