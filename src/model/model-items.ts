// The items of a model, ready to be searched: one index, or one for each value of `partitionCol`. Any other number of partitions
// is a way to look at one index: its threads share it, and to search it in pieces would only take longer.
import { type Table, tableFromArrays, tableFromIPC } from 'apache-arrow'
import type { EngineCall, StageClock } from '../engine/engine.ts'
import { type UsualEffort, usualEffort } from '../engine/local/usual.ts'
import { ItemIndex } from '../indexes/item-index.ts'
import { chooseNumLists } from '../join/cost.ts'
import type { MemoryPlan } from '../join/memory.ts'
import { planJoin } from '../join/plan.ts'
import { call, callNow, type NativeGroups, type NativeItems, type NativeTable } from '../native.ts'
import type { KnnParams } from './knn-params.ts'

/** Consecutive rows of the table, searched together. */
export interface Part {
  first: number
  count: number
  index: ItemIndex
  /** For batches of few queries. */
  usual: UsualEffort | undefined
}

export interface ModelItems {
  /** Ids and carried columns of all parts, part after part. */
  table: NativeTable
  /** What has the vectors of the table, if it does not have them itself. */
  vectors: NativeItems | undefined
  parts: Part[]
  /** The values of `partitionCol`, one a part. */
  groups: NativeGroups | undefined
  dispose(): void
}

/**
 * Makes a table searchable, and takes it. Where an exact search of as many queries would be slower the rows of a part are put
 * into lists; how much of them batches of few queries have to search is found out on samples of the items, unless it was `saved`.
 */
export async function buildItems(
  given: NativeTable,
  params: KnnParams,
  memory: MemoryPlan,
  clock: StageClock,
  options: EngineCall,
  saved?: readonly (UsualEffort | null)[],
): Promise<ModelItems> {
  let table = given
  const held: { dispose(): void }[] = []
  const dispose = () => {
    for (const value of held.reverse()) value.dispose()
    table.dispose()
  }
  try {
    const { metric, distance, threads } = params
    const measure = distance ?? metric
    const create = (work: () => Promise<ItemIndex>) => clock.time('read', work)
    let groups: NativeGroups | undefined
    const starts = [0]
    if (params.partitionCol !== undefined) {
      const column = params.partitionCol
      const { signal } = options
      const values = await call((native) => native.groupRows(table, column), { signal })
      held.push(values)
      groups = values
      const grouped = values.rows
      const ordered = await call((native) => native.takeRows(table, undefined, grouped.rows), { signal })
      table.dispose()
      table = ordered
      starts.push(...grouped.starts.subarray(1))
    } else starts.push(table.numRows)
    const parts: Part[] = []
    const whole = groups === undefined
    // Models saved by former versions may have been in other parts.
    const known = saved?.length === starts.length - 1 ? saved : undefined
    for (let at = 0; at + 1 < starts.length; at++) {
      const [first, count] = [starts[at]!, starts[at + 1]! - starts[at]!]
      const index = await create(() =>
        whole
          ? ItemIndex.create(table, measure, threads, { signal: options.signal })
          : ItemIndex.ofRows(table, { first, count }, measure, threads, { signal: options.signal }),
      )
      // The index of all rows disposes of the table, too: that is harmless.
      held.push(index)
      const usual = await prepare(index, params, memory, clock, options, known?.[at])
      parts.push({ first, count, index, usual })
    }
    return { table, vectors: whole ? parts[0]!.index.items : undefined, parts, groups, dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

async function prepare(
  index: ItemIndex,
  params: KnnParams,
  memory: MemoryPlan,
  clock: StageClock,
  options: EngineCall,
  known: UsualEffort | null | undefined,
): Promise<UsualEffort | undefined> {
  const { numRows: rows, dim, numDistinct: distinct, isSparse: sparse } = index.items
  const shape = { queries: rows, items: rows, dim, self: false, distinct }
  const { level } = callNow((native) => native.cpu())
  if (planJoin(shape, params, level, { sparse }).method !== 'cluster') return undefined
  const onProgress = (progress: { done: number; total: number }) =>
    options.onProgress?.({ stage: 'cluster', ...progress })
  const { seed, threads } = params
  await clock.time('cluster', () =>
    index.cluster(chooseNumLists(distinct), seed, threads, { signal: options.signal, onProgress }),
  )
  if (params.plan) return undefined
  index.items.limitSpareBytes(memory.spareBytes)
  return known === undefined ? usualEffort(index, params, clock, options) : (known ?? undefined)
}

/** The partitions and how many items each has: a table (partition, size). */
export function summaries({ groups, table: { numRows } }: ModelItems, numPartitions: number): Table {
  if (groups) return tableFromIPC(callNow(() => groups.summaryIpc()))
  const count = Math.max(1, Math.min(numPartitions, numRows))
  const start = (partition: number) => Math.floor((numRows * partition) / count)
  return tableFromArrays({
    partition: Int32Array.from({ length: count }, (_, i) => i),
    size: BigInt64Array.from({ length: count }, (_, i) => BigInt(start(i + 1) - start(i))),
  })
}
