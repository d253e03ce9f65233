// Items that come, are replaced and go: tables made of the rows that stay and of the new ones.
import type { EngineCall } from '../engine/engine.ts'
import { NighError } from '../errors.ts'
import { call, type NativeItems, type NativeTable } from '../native.ts'
import { readVectors } from '../table/read.ts'
import type { Ids } from '../table/source.ts'

/** A table, and what has its vectors if it does not have them itself. */
export interface HeldTable {
  table: NativeTable
  vectors: NativeItems | undefined
}

/** As the native side says that no row has an id. */
export const NO_ROW: number = 2 ** 32 - 1

/** The rows of `held` whose ids `added` does not have, and those of `added` behind them: of several with one id the last. */
export async function appended(
  { table, vectors }: HeldTable,
  added: NativeTable,
  { signal }: EngineCall,
): Promise<{ merged: NativeTable; replaced: number }> {
  if (added.generatedIds && added.numRows > 0) {
    throw new NighError(
      'COLUMN_NOT_FOUND',
      `the new items have no id column "${added.idCol}": row numbers would replace the items that have them`,
    )
  }
  const matches = await call((native) => native.matchIds(added, table), { signal })
  let [stay, latest]: [Uint32Array, Uint32Array] = [new Uint32Array(), new Uint32Array()]
  try {
    stay = rowsWhere(matches.own, (own) => own === NO_ROW)
    latest = lastOfEach(matches.first)
  } finally {
    matches.dispose()
  }
  const old = await call((native) => native.takeRows(table, vectors, stay), { signal })
  const fresh = await call((native) => native.takeRows(added, undefined, latest), { signal })
  try {
    const merged = await call((native) => native.concatTables(old, fresh), { signal })
    return { merged, replaced: table.numRows - stay.length }
  } finally {
    old.dispose()
    fresh.dispose()
  }
}

/** Of rows to be added, those that stay: the last of each id. Undefined where the table has one of their ids already. */
export async function latestOf(
  table: NativeTable,
  added: NativeTable,
  { signal }: EngineCall,
): Promise<Uint32Array | undefined> {
  const matches = await call((native) => native.matchIds(added, table), { signal })
  try {
    return matches.own.every((own) => own === NO_ROW) ? lastOfEach(matches.first) : undefined
  } finally {
    matches.dispose()
  }
}

/** The rows whose ids are not among those of `named`. */
export async function without(
  { table, vectors }: HeldTable,
  named: NativeTable,
  { signal }: EngineCall,
): Promise<NativeTable> {
  const matches = await call((native) => native.matchIds(named, table), { signal })
  const stay = rowsWhere(matches.own, (own) => own === NO_ROW)
  matches.dispose()
  return call((native) => native.takeRows(table, vectors, stay), { signal })
}

/** Ids as a table of them. */
export function idTable(ids: Ids, { signal }: EngineCall): Promise<NativeTable> {
  const named = { ids, vectors: new Float32Array(ids.length), dim: 1 }
  return readVectors(named, { threads: 1, side: 'query' }, { signal })
}

export function rowsWhere(values: Uint32Array, holds: (value: number, row: number) => boolean): Uint32Array {
  const rows = new Uint32Array(values.length)
  let count = 0
  for (let row = 0; row < values.length; row++) if (holds(values[row]!, row)) rows[count++] = row
  return rows.subarray(0, count)
}

/** Of rows that share an id, as the first of them, the last. Ascending. */
export function lastOfEach(first: Uint32Array): Uint32Array {
  const last = new Uint32Array(first.length)
  for (let row = 0; row < first.length; row++) last[first[row]!] = row
  return Uint32Array.from(new Set(first), (row) => last[row]!).sort()
}
