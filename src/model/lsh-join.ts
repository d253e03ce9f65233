// The pairs of rows that share a bucket and are near.
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption } from '../errors.ts'
import { call, callNow } from '../native.ts'
import type { ArrowDataset } from '../table/dataset.ts'
import { fromIterable } from '../table/datasets.ts'
import { schemaFromIpc, tableFromIpc } from '../table/ipc.ts'
import type { HashedItems } from './lsh-items.ts'
import type { LshParams } from './lsh-params.ts'
import { columnName } from './params.ts'

export interface SimilarityJoinOptions extends EngineCall {
  /** Column of the distances. Default `distance`. */
  distCol?: string | undefined
  /** Columns of the ids. Default `idA` and `idB`. */
  idACol?: string | undefined
  idBCol?: string | undefined
}

/** Fails for what no join can do, before anything is read. */
export function checkJoin(threshold: number, { distCol, idACol, idBCol }: SimilarityJoinOptions): string[] {
  if (typeof threshold !== 'number' || Number.isNaN(threshold)) {
    throw invalidOption('threshold', `must be a number, not ${JSON.stringify(threshold)}`)
  }
  return [
    columnName('idACol', idACol ?? 'idA'),
    columnName('idBCol', idBCol ?? 'idB'),
    columnName('distCol', distCol ?? 'distance'),
  ]
}

/** The pairs as tables that are made when they are read, as often as they are. Without `b` those of `a` with itself. */
export function joinHashed(
  a: HashedItems,
  b: HashedItems | undefined,
  threshold: number,
  names: string[],
  { hash, threads }: LshParams,
  { signal, onProgress }: EngineCall,
): ArrowDataset {
  // Spark's join is strict, that of fast_lsh_ann is not.
  const asked = { threshold, inclusive: hash.family === 'offset', threads, names }
  const start = () => callNow(() => a.lsh.join(a.items, a.table, b?.lsh, b?.items, b?.table, asked))
  async function* tables() {
    const join = start()
    const progress = (event: { done: number; total: number }) => onProgress?.({ stage: 'join', ...event })
    for (;;) {
      const ipc = await call((_, job) => join.step(job), { signal, onProgress: progress })
      if (!ipc) return
      const table = tableFromIpc(ipc)
      if (table.numRows > 0) yield table
    }
  }
  const schema = schemaFromIpc(callNow(() => start().schemaIpc()))
  return fromIterable(tables, { schema, signal })
}
