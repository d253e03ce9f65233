// Rows in hash tables: read, hashed, and given up together.
import { type EngineCall, StageClock } from '../engine/engine.ts'
import { call, callNow, type NativeHasher, type NativeItems, type NativeLsh, type NativeTable } from '../native.ts'
import type { TableInput } from '../table/source.ts'
import { openSide, planned, prepareSpilling, readSide, tooSmallForModel } from './join-tables.ts'
import type { LshParams } from './lsh-params.ts'

/** Items by their hashes. */
export interface HashedItems {
  /** Ids and carried columns. */
  table: NativeTable
  items: NativeItems
  lsh: NativeLsh
  dispose(): void
}

/** Hash functions for vectors of so many dimensions. */
export function newHasher({ hash }: LshParams, { dim, bits }: { dim: number; bits: boolean }): NativeHasher {
  return callNow((native) => native.newHasher({ ...hash, dim, bits }))
}

/** Reads a table with its vectors. */
export async function readRows(input: TableInput, params: LshParams, options: EngineCall): Promise<NativeTable> {
  const open = await openSide(input, params, 'item', options, params.item.columns)
  const memory = planned(open, undefined, params, [open])
  if (memory.way === 'blocks') {
    open.native.dispose()
    throw tooSmallForModel(memory)
  }
  prepareSpilling(memory)
  return readSide(open, memory, new StageClock(), options)
}

/** Puts the rows of a table into hash tables, and takes the table; `make` says how. */
export async function hashItems(
  table: NativeTable,
  { metric, threads }: LshParams,
  { signal }: EngineCall,
  make: (items: NativeItems) => Promise<NativeLsh>,
): Promise<HashedItems> {
  let items: NativeItems | undefined
  try {
    const made = await call((native, job) => native.newItems(table, metric, threads, job), { signal })
    items = made
    const lsh = await make(made)
    const dispose = () => {
      lsh.dispose()
      made.dispose()
      table.dispose()
    }
    return { table, items: made, lsh, dispose }
  } catch (error) {
    items?.dispose()
    table.dispose()
    throw error
  }
}

/** The same by the functions of a hasher. */
export async function hashedBy(
  hasher: NativeHasher,
  table: NativeTable,
  params: LshParams,
  options: EngineCall,
): Promise<HashedItems> {
  try {
    callNow(() => hasher.check(table))
  } catch (error) {
    table.dispose()
    throw error
  }
  const onProgress = (progress: { done: number; total: number }) =>
    options.onProgress?.({ stage: 'cluster', ...progress })
  return hashItems(table, params, options, (items) =>
    call((_, job) => hasher.build(items, params.threads, job), { signal: options.signal, onProgress }),
  )
}
