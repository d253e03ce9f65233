import { type CallOptions, call, type NativeTable } from '../native.ts'
import { nativeSources, type TableInput } from './source.ts'

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
export async function readTable(input: TableInput, options: ReadOptions, callOptions: CallOptions): Promise<NativeTable> {
  const sources = await nativeSources(input, callOptions.signal)
  const { idCol, featuresCol } = options
  return call(
    (native, job) =>
      native.readTable(
        sources,
        {
          ...(idCol === undefined ? {} : { idCol }),
          ...(featuresCol === undefined ? {} : { vectorCol: featuresCol }),
          columns: [...(options.columns ?? [])],
          onInvalid: options.onInvalid ?? 'fail',
          threads: options.threads,
          side: options.side,
        },
        job,
      ),
    callOptions,
  )
}
