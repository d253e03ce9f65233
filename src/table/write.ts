import { invalidOption } from '../errors.ts'
import { addon, call, callNow, callOn, type NativeDatasetWriter } from '../native.ts'
import { schemaToIpc } from './ipc.ts'
import { selected } from './schema.ts'
import { callOptions, learned, type Opened, type Run, reading } from './steps/step.ts'

export type TableFormat = 'parquet' | 'arrow' | 'delta'

export interface WriteOptions {
  /** Default: by the path: `delta:` in front, `.parquet`, `.arrow`; a directory is Parquet. */
  format?: TableFormat | undefined
  /** What happens to a table that is there: `error` (default), `overwrite`, or `append`. */
  mode?: 'error' | 'overwrite' | 'append' | undefined
  /** Columns whose values become directories. */
  partitionBy?: readonly string[] | undefined
  /** Called after each table that was written. */
  onProgress?: ((progress: WriteProgress) => void) | undefined
  signal?: AbortSignal | undefined
}

/** How far a write is. */
export interface WriteProgress {
  /** Rows written. */
  rows: number
  /** Bytes read from files for them. */
  bytesRead: number
}

export interface Written {
  rows: number
  files: number
  sizeBytes: number
  /** Of a Delta table: the version that this write made. */
  version: number | undefined
}

const FORMATS: readonly string[] = ['parquet', 'arrow', 'delta']
const MODES: readonly string[] = ['error', 'overwrite', 'append']

/** Writes what comes, a batch at a time. */
export async function writeBatches(opened: Opened, run: Run, path: string, options: WriteOptions): Promise<Written> {
  const { target, format } = targetOf(path, options)
  const mode = options.mode ?? 'error'
  if (!MODES.includes(mode)) throw invalidOption('mode', `must be error, overwrite or append, not ${mode}`)
  const partitionBy = [...(options.partitionBy ?? [])]
  let writer: NativeDatasetWriter | undefined
  let rowsWritten = 0
  const start = () => {
    const schema = learned(opened)
    selected(schema, partitionBy)
    return callNow(() =>
      addon().createDatasetWriter({ path: target, format, mode, partitionBy, schemaIpc: schemaToIpc(schema) }),
    )
  }
  try {
    // What cannot be written fails before anything is read, where the schema is known.
    if (opened.schema()) writer = start()
    for await (const { batch } of reading(opened, run)) {
      try {
        writer ??= start()
        const into = writer
        const native = await batch.native()
        await call((_, job) => into.write(native, job), callOptions(run))
        rowsWritten += batch.numRows
        options.onProgress?.({ rows: rowsWritten, bytesRead: opened.bytesRead() })
      } finally {
        batch.dispose()
      }
    }
    writer ??= start()
    const into = writer
    const { rows, files, sizeBytes, version } = await call((_, job) => into.finish(job), callOptions(run))
    return { rows, files, sizeBytes, version: version ?? undefined }
  } catch (error) {
    const left = writer
    if (left) await callOn(() => left.abort())
    throw error
  } finally {
    writer?.dispose()
  }
}

function targetOf(path: string, { format }: WriteOptions): { target: string; format: TableFormat } {
  const isDelta = path.startsWith('delta:')
  const target = isDelta ? path.slice('delta:'.length) : path
  const byPath = isDelta ? 'delta' : /\.(arrows?|ipc|feather)$/.test(path) ? 'arrow' : 'parquet'
  const chosen = format ?? byPath
  if (!FORMATS.includes(chosen)) throw invalidOption('format', `must be parquet, arrow or delta, not ${chosen}`)
  if (isDelta && chosen !== 'delta') throw invalidOption('format', `${chosen}, but the path says delta:`)
  return { target, format: chosen }
}
