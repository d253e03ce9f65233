// Items appended to lists that stay as they are: new ones are a part of their own, searched besides the lists, until they are many.
import type { EngineCall, StageClock } from '../engine/engine.ts'
import type { MemoryPlan } from '../join/memory.ts'
import { call, type NativeTable } from '../native.ts'
import { type HeldTable, latestOf } from './change-items.ts'
import type { KnnParams } from './knn-params.ts'
import { buildItems, type ModelItems, type Part } from './model-items.ts'

/** Of the items in lists: beyond it one index of all is worth its making. */
const MOST_BESIDE = 0.1

/**
 * The items with new ones in a part beside their lists, in place of the ones they are made of; undefined where all have to be prepared
 * anew: there are no lists, an id is replaced, or the new ones are too many.
 */
export async function grown(
  items: ModelItems,
  added: NativeTable,
  params: KnnParams,
  memory: MemoryPlan,
  clock: StageClock,
  options: EngineCall,
): Promise<ModelItems | undefined> {
  const [base, beside] = items.parts
  if (items.groups || !base?.index.clusters || items.table.generatedIds || added.generatedIds) return undefined
  // Sparse vectors may be of another length, and what does not fit is told by those who bring all together.
  if (added.isSparse || added.dim !== base.index.table.dim || added.isBits !== base.index.table.isBits) return undefined
  if ((beside?.count ?? 0) + added.numRows > MOST_BESIDE * base.count) return undefined
  const latest = await latestOf(items.table, added, options)
  if (!latest) return undefined
  const { signal } = options
  const fresh = await call((native) => native.takeRows(added, undefined, latest), { signal })
  const table = beside ? await together([heldBy(beside)], fresh, options) : fresh
  const made = await buildItems(table, params, memory, clock, options)
  try {
    const parts = [base, { ...made.parts[0]!, first: base.count }]
    const columns = [base.index.table, made.table]
    const all = await call((native) => native.concatItemColumns(columns), { signal })
    // Its index is kept; what held it beside others is not.
    if (beside) {
      beside.index.dispose()
      items.table.dispose()
    }
    const dispose = () => {
      base.index.dispose()
      made.dispose()
      all.dispose()
    }
    return { table: all, vectors: undefined, parts, groups: undefined, dispose }
  } catch (error) {
    made.dispose()
    throw error
  }
}

/** All items in one table, and what holds their vectors: a copy where they are in several parts. */
export async function inOneTable(items: ModelItems, options: EngineCall): Promise<HeldTable & { dispose(): void }> {
  const { table, vectors, parts, groups } = items
  if (groups || parts.length === 1) return { table, vectors, dispose() {} }
  const all = await together(parts.map(heldBy), undefined, options)
  return { table: all, vectors: undefined, dispose: () => all.dispose() }
}

const heldBy = ({ index }: Part): HeldTable => ({ table: index.table, vectors: index.items })

/** Tables one behind the other, copied; `last`, which is taken, behind them. */
async function together(
  held: readonly HeldTable[],
  last: NativeTable | undefined,
  { signal }: EngineCall,
): Promise<NativeTable> {
  let all = last
  for (const { table, vectors } of held.toReversed()) {
    const rows = Uint32Array.from({ length: table.numRows }, (_, row) => row)
    const copy = await call((native) => native.takeRows(table, vectors, rows), { signal })
    const behind: NativeTable | undefined = all
    if (!behind) {
      all = copy
      continue
    }
    all = await call((native) => native.concatTables(copy, behind), { signal }).finally(() => {
      copy.dispose()
      behind.dispose()
    })
  }
  return all!
}
