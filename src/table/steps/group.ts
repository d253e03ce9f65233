// A function over the rows of each key. The rows are shuffled by key before; here a partition is put in order of its keys and
// cut where they change, which takes the memory of one partition.
import { type Schema, Table } from 'apache-arrow'
import { addon, callOn, type NativeArrow } from '../../native.ts'
import { Batch } from '../batch.ts'
import { tableFromIpc } from '../ipc.ts'
import { tableToRows } from '../rows/convert.ts'
import { columnsOf, selected } from '../schema.ts'
import { checked } from './functions.ts'
import { inPieces } from './memory.ts'
import { failedIn, type Opened, type Placed, type Run, reading, type Step } from './step.ts'

/**
 * A function over a group: the value of its key (an object of values if there are several key columns) and its rows, in one table or,
 * with `maxRecordsPerTable`, several.
 */
export type GroupFunction = (key: unknown, tables: readonly Table[]) => Table | Promise<Table>

export interface Grouping {
  columns: readonly string[]
  fn: GroupFunction
  schema: Schema | undefined
  maxRecords: number
}

/** Small tables of many groups go on together. */
const ROWS_TOGETHER = 65_536

export function groupStep(shuffled: Step, grouping: Grouping): Step {
  return {
    open: async (run): Promise<Opened> => {
      const opened = await shuffled.open({ ...run, anySize: true })
      let schema = grouping.schema
      const learn = (made: Schema) => {
        schema ??= made
        return schema
      }
      return {
        ...opened,
        schema: () => schema,
        async *read(partitions): AsyncGenerator<Placed> {
          for (const partition of partitions) yield* groupsOf(opened, run, partition, grouping, learn)
        },
      }
    },
  }
}

async function* groupsOf(
  opened: Opened,
  run: Run,
  partition: number,
  grouping: Grouping,
  learn: (schema: Schema) => Schema,
): AsyncGenerator<Placed> {
  const { table, starts } = await grouped(opened, run, partition, grouping.columns)
  let waiting: Table[] = []
  let rows = 0
  for (let group = 0; group + 1 < starts.length; group++) {
    const members = table.slice(starts[group], starts[group + 1])
    let made: Batch
    try {
      made = checked(
        await grouping.fn(keyOf(members, grouping.columns), await pieces(members, grouping)),
        grouping.schema,
        learn,
      )
    } catch (error) {
      throw failedIn('groupBy', opened, partition, error)
    }
    waiting.push(await made.table())
    rows += made.numRows
    if (rows < ROWS_TOGETHER) continue
    yield { partition, batch: together(waiting) }
    waiting = []
    rows = 0
  }
  if (waiting.length > 0) yield { partition, batch: together(waiting) }
}

async function pieces(table: Table, { maxRecords }: Grouping): Promise<Table[]> {
  return Promise.all([...inPieces(table, maxRecords)].map((batch) => batch.table()))
}

function together(tables: readonly Table[]): Batch {
  const [first] = tables
  return Batch.ofTable(
    tables.length === 1
      ? first!
      : new Table(
          first!.schema,
          tables.flatMap((table) => table.batches),
        ),
  )
}

/** A partition in order of its keys, and where each begins. */
async function grouped(
  opened: Opened,
  run: Run,
  partition: number,
  columns: readonly string[],
): Promise<{ table: Table; starts: Uint32Array }> {
  const held: NativeArrow[] = []
  try {
    for await (const { batch } of reading(opened, run, [partition])) held.push(await batch.native())
    const parts = held.slice()
    if (parts.every((part) => part.numRows === 0)) return { table: new Table(), starts: new Uint32Array(1) }
    const all = await callOn(() => addon().concatArrow(parts))
    held.push(all)
    const { table, starts } = await callOn(() => all.group([...columns]))
    held.push(table)
    return { table: tableFromIpc(await callOn(() => table.toIpc())), starts }
  } finally {
    for (const native of held) native.dispose()
  }
}

function keyOf(members: Table, columns: readonly string[]): unknown {
  const first = members.slice(0, 1)
  const indices = columns.map((name) => members.schema.fields.findIndex((field) => field.name === name))
  const [row] = tableToRows(columnsOf(first, selected(members.schema, columns), indices))
  return columns.length === 1 ? row![columns[0]!] : row
}
