// The answers of several groups of shards to the same queries as one: of all candidates the nearest, none lost.
import {
  Table as ArrowTable,
  type Data,
  type Field,
  type List,
  makeData,
  Schema,
  type Struct,
  type Table,
} from 'apache-arrow'
import { call, type NativeArrow } from '../../../native.ts'
import { tableFromIpc, tableToIpc } from '../../../table/ipc.ts'
import { emptyTable, recordBatch } from '../../../table/schema.ts'
import { concatTables } from './source.ts'

/** One answer taken apart: where the neighbors of each query begin among those of all. */
interface Found {
  starts: Uint32Array
  /** A row a neighbor. */
  neighbors: Table
  distances: Float32Array
}

/**
 * The first answer with, in the place of its last column, the k nearest of what all answers have. Of equals those of earlier answers come first.
 */
export async function mergeAnswers(answers: readonly Table[], name: string, k: number): Promise<Table> {
  const [first] = answers as [Table]
  if (answers.length === 1) return first
  const found = answers.map((answer) => takenApart(answer, name))
  const { rows, starts } = nearest(found, first.numRows, k)
  const arrows: NativeArrow[] = []
  let taken: Table
  try {
    for (const { neighbors } of found) {
      const ipc = tableToIpc(neighbors)
      arrows.push(await call((native) => native.arrowFromIpc(ipc), {}))
    }
    const all = await call((native) => native.concatArrow(arrows), {})
    arrows.push(all)
    const some = await call(() => all.take(rows), {})
    arrows.push(some)
    taken = tableFromIpc(await call(() => some.toIpc(), {}))
  } finally {
    for (const arrow of arrows) arrow.dispose()
  }
  return withNeighbors(first, name, taken, starts)
}

function takenApart(answer: Table, name: string): Found {
  const starts = new Uint32Array(answer.numRows + 1)
  const tables: Table[] = []
  let [row, end] = [0, 0]
  for (const batch of answer.batches) {
    const list = batch.getChild(name)!.data[0]!
    const offsets = list.valueOffsets as Int32Array
    for (let i = 0; i < list.length; i++) {
      end += offsets[i + 1]! - offsets[i]!
      starts[++row] = end
    }
    const structs = list.children[0]!
    const schema = new Schema(structs.type.children as Field[])
    const whole = new ArrowTable(schema, [recordBatch(schema, structs.children as Data[], structs.length)])
    tables.push(whole.slice(offsets[0]!, offsets[list.length]!))
  }
  if (tables.length === 0) {
    const struct = (answer.schema.fields.at(-1)!.type as List<Struct>).children[0]!.type
    return { starts, neighbors: emptyTable(new Schema(struct.children)), distances: new Float32Array() }
  }
  const neighbors = concatTables(tables)
  return { starts, neighbors, distances: neighbors.getChild('distance')!.toArray() as Float32Array }
}

/** Which rows of all answers, one behind the other, are the nearest of each query. */
export function nearest(
  found: readonly Pick<Found, 'starts' | 'distances'>[],
  numQueries: number,
  k: number,
): { rows: Uint32Array; starts: Int32Array } {
  const total = found.reduce((sum, { distances }) => sum + distances.length, 0)
  const rows = new Uint32Array(Math.min(total, numQueries * k))
  const starts = new Int32Array(numQueries + 1)
  const firsts: number[] = []
  let before = 0
  for (const { distances } of found) {
    firsts.push(before)
    before += distances.length
  }
  const at = new Uint32Array(found.length)
  let count = 0
  for (let query = 0; query < numQueries; query++) {
    for (const [i, { starts }] of found.entries()) at[i] = starts[query]!
    for (let taken = 0; taken < k; taken++) {
      let best = -1
      for (let i = 0; i < found.length; i++) {
        const { starts, distances } = found[i]!
        if (at[i]! >= starts[query + 1]!) continue
        if (best < 0 || distances[at[i]!]! < found[best]!.distances[at[best]!]!) best = i
      }
      if (best < 0) break
      rows[count++] = firsts[best]! + at[best]!
      at[best]!++
    }
    starts[query + 1] = count
  }
  return { rows: rows.subarray(0, count), starts }
}

/** The columns of a table, the last of them made anew of one row a neighbor. */
function withNeighbors(table: Table, name: string, neighbors: Table, starts: Int32Array): Table {
  const names = table.schema.names
  const { type } = table.schema.fields[names.indexOf(name)]!
  const item = (type as List).children[0]!
  const children = neighbors.schema.fields.map((_, i) => whole(neighbors.getChildAt(i)!.data))
  const struct = makeData({ type: item.type as Struct, length: neighbors.numRows, nullCount: 0, children })
  let row = 0
  const batches = table.batches.map((batch) => {
    const valueOffsets = starts.slice(row, row + batch.numRows + 1)
    row += batch.numRows
    const [begin, end] = [valueOffsets[0]!, valueOffsets[batch.numRows]!]
    const child = struct.slice(begin, end - begin)
    const offsets = valueOffsets.map((offset) => offset - begin)
    const list = makeData({ type: type as List, length: batch.numRows, nullCount: 0, valueOffsets: offsets, child })
    const columns = names.map((other, i) => (other === name ? (list as Data) : batch.data.children[i]!))
    return recordBatch(table.schema, columns, batch.numRows)
  })
  return new ArrowTable(table.schema, batches)
}

function whole(data: readonly Data[]): Data {
  if (data.length === 1) return data[0]!
  throw new RangeError(`${data.length} pieces where one was taken`)
}
