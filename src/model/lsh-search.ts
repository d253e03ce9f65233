// The nearest items that share a bucket with each query.
import { type EngineCall, StageClock } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import { isOfBits } from '../join/metric.ts'
import { integer } from '../join/options.ts'
import { NeighborSink } from '../merge/neighbor-sink.ts'
import { call, callNow, type NativeHasher, type NativeNeighbors } from '../native.ts'
import { openTable } from '../table/read.ts'
import { isVectors, type TableInput } from '../table/source.ts'
import { planned, readSide, requireSameVectors, tooSmallForModel } from './join-tables.ts'
import type { HashedItems } from './lsh-items.ts'
import type { LshParams } from './lsh-params.ts'

export interface ApproxNearestNeighborsOptions extends EngineCall {
  /**
   * Buckets of each table that are looked at. 1 is the query's own, as Spark does: fewer than k neighbors come back where it has
   * fewer rows. From 2 on also those beside it, nearest first (multi-probe), and further ones until there are k. Default 1.
   */
  numProbes?: number | undefined
  /** Only neighbors at this distance or nearer. */
  maxDistance?: number | undefined
  /** Leave out the item that has the query's own id. Default false. */
  excludeSelf?: boolean | undefined
}

/** Queries that are searched and written together. */
const BLOCK_ROWS = 65_536

/** An Arrow IPC stream of the queries with their neighbors. */
export async function searchHashed(
  hashed: HashedItems,
  hasher: NativeHasher,
  queries: TableInput,
  k: number,
  params: LshParams,
  options: ApproxNearestNeighborsOptions,
): Promise<Uint8Array> {
  const { signal, excludeSelf = false, maxDistance } = options
  const wanted = Math.min(integer('k', k, 1, 2 ** 31 - 1), Math.max(1, hashed.table.numRows))
  const nprobe = integer('numProbes', options.numProbes ?? 1, 1, 2 ** 31 - 1)
  if (maxDistance !== undefined && (typeof maxDistance !== 'number' || Number.isNaN(maxDistance))) {
    throw invalidOption('maxDistance', 'must be a number')
  }
  if (typeof excludeSelf !== 'boolean') throw invalidOption('excludeSelf', 'must be true or false')
  const { onInvalid, threads, item, metric, predictionCol } = params
  const { idCol = excludeSelf && !isVectors(queries) ? 'id' : undefined, featuresCol } = item
  const reading = { idCol, featuresCol, bits: isOfBits(metric), columns: [], allColumns: true, onInvalid, threads }
  const open = await openTable(queries, { ...reading, side: 'query' }, { signal })
  const memory = planned(open, undefined, params, [open])
  if (memory.way === 'blocks') {
    open.native.dispose()
    throw tooSmallForModel(memory)
  }
  const table = await readSide(open, memory, new StageClock(), options)
  const held: { dispose(): void }[] = [table]
  try {
    requireSameVectors(table, hashed.table, metric)
    if (hashed.table.numRows > 0) callNow(() => hasher.check(table))
    const carried = table.columns
    if (carried.includes(predictionCol)) {
      const text = `the queries have a column "${predictionCol}" already: name another predictionCol, or leave theirs out`
      throw new NighError('COLUMN_CONFLICT', text)
    }
    const matches = excludeSelf ? await call((native) => native.matchIds(hashed.table, table), { signal }) : undefined
    if (matches) held.push(matches)
    // As many more as have to be left out at most.
    const asked = Math.min(wanted + (matches?.most ?? 0), Math.max(1, hashed.table.numRows))
    const sink = NeighborSink.create(hashed, table, {
      layout: 'nested',
      columns: item.columns,
      queryColumns: carried,
      force: false,
      mode: 'error',
      listName: predictionCol,
      withoutQueryId: carried.length > 0,
    })
    held.push(sink)
    for (let first = 0; first < table.numRows; first += BLOCK_ROWS) {
      const count = Math.min(BLOCK_ROWS, table.numRows - first)
      const onProgress = ({ done }: { done: number }) =>
        options.onProgress?.({ stage: 'join', done: first + done, total: table.numRows })
      const most = maxDistance === undefined ? {} : { maxDistance }
      const search = { k: asked, first, count, nprobe, threads, ...most }
      const found = await call((_, job) => hashed.lsh.search(hashed.items, table, search, job), { signal, onProgress })
      const others: NativeNeighbors = matches
        ? await call(() => matches.withoutOwn(first, found, wanted), { signal })
        : found
      await sink.write(first, others, { signal })
      found.dispose()
      others.dispose()
    }
    return (await sink.finish({ signal })).bytes!
  } finally {
    for (const value of held.reverse()) value.dispose()
  }
}
