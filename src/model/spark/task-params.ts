import type { JoinParams } from '../../join/options.ts'
import { ROW } from './row-numbers.ts'
import type { Spool } from './spool.ts'
import type { TableSide } from './table-side.ts'

/** The parameters of a join as a task's local engine gets them: rows are known by their numbers, other ids are columns. */
export function taskParams(
  params: JoinParams,
  { items, queries }: { items: TableSide; queries: TableSide | undefined },
  spool: Spool,
  recall: number = params.recall,
): JoinParams {
  const of = ({ featuresCol }: TableSide) => ({ idCol: ROW, featuresCol, columns: [] })
  const exact = params.exact || recall >= 1
  return {
    ...params,
    recall: exact ? 1 : recall,
    exact,
    item: of(items),
    query: of(queries ?? items),
    plan: undefined,
    rejects: undefined,
    tmp: spool.directory,
  }
}
