import { NighError } from '../errors.ts'
import { type CallOptions, call, type NativeTable } from '../native.ts'
import { nameStdin, nativeSources, type TableInput } from './source.ts'

/** Which columns of a table to read, and what an invalid vector does. */
export interface ReadOptions {
  idCol?: string | undefined
  featuresCol?: string | undefined
  columns?: readonly string[] | undefined
  onInvalid?: 'fail' | 'drop' | undefined
  threads: number
  /** `query` or `item`: how errors name this table. */
  side: string
}

/** Reads a table into native memory. The caller disposes of it. */
export async function readTable(
  input: TableInput,
  options: ReadOptions,
  callOptions: CallOptions,
): Promise<NativeTable> {
  const sources = await nativeSources(input, callOptions.signal)
  const { idCol, featuresCol } = options
  const reading = {
    ...(idCol === undefined ? {} : { idCol }),
    ...(featuresCol === undefined ? {} : { vectorCol: featuresCol }),
    columns: [...(options.columns ?? [])],
    onInvalid: options.onInvalid ?? 'fail',
    threads: options.threads,
    side: options.side,
  }
  try {
    return await call((native, job) => native.readTable(sources, reading, job), callOptions)
  } catch (error) {
    if (input !== '-' || !(error instanceof NighError)) throw error
    throw new NighError(error.code, nameStdin(input, error.message), { cause: error.cause })
  }
}
