import { type CallOptions, call, type NativeOpenTable, type NativeTable, type Spilling } from '../native.ts'
import { namingStdin, nativeSources, type TableInput } from './source.ts'

/** Which columns of a table to read, and what an invalid vector does. */
export interface ReadOptions {
  idCol?: string | undefined
  featuresCol?: string | undefined
  /** Columns of bytes and booleans are bits. */
  bits?: boolean | undefined
  columns?: readonly string[] | undefined
  /** Carry every column there is; `columns` is not looked at. */
  allColumns?: boolean | undefined
  onInvalid?: 'fail' | 'drop' | undefined
  threads: number
  /** `query` or `item`: how errors name this table. */
  side: string
}

/** A table whose size is known and whose rows are still to be read. Reading takes it; dispose of it otherwise. */
export interface OpenTable {
  input: TableInput
  native: NativeOpenTable
}

/** Opens a table: its schema and its size, no rows. */
export async function openTable(input: TableInput, options: ReadOptions, callOptions: CallOptions): Promise<OpenTable> {
  const sources = await nativeSources(input, callOptions.signal)
  const { idCol, featuresCol } = options
  const reading = {
    ...(idCol === undefined ? {} : { idCol }),
    ...(featuresCol === undefined ? {} : { vectorCol: featuresCol }),
    bits: options.bits ?? false,
    columns: [...(options.columns ?? [])],
    ...(options.allColumns ? { allColumns: true } : {}),
    onInvalid: options.onInvalid ?? 'fail',
    threads: options.threads,
    side: options.side,
  }
  const open = () => call((native, job) => native.openTable(sources, reading, job), callOptions)
  return { input, native: await namingStdin(input, open) }
}

/** Reads a table, its vectors to memory or to a spill file. The caller disposes of it. */
export function readOpenTable(
  { input, native: open }: OpenTable,
  spilling: Spilling | undefined,
  callOptions: CallOptions,
): Promise<NativeTable> {
  return namingStdin(input, () => call((native, job) => native.readTable(open, spilling, job), callOptions))
}

/** Reads a table into native memory. The caller disposes of it. */
export async function readVectors(
  input: TableInput,
  options: ReadOptions,
  callOptions: CallOptions,
): Promise<NativeTable> {
  return readOpenTable(await openTable(input, options, callOptions), undefined, callOptions)
}
