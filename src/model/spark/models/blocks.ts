// What goes from stage to stage: pieces of tables as Arrow IPC in a binary column, and JSON for what is told to the client.
import { Binary, Field, Int32, Schema, Table, Utf8, vectorFromArray } from 'apache-arrow'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { tableFromIpc, tableToIpc } from '../../../table/ipc.ts'
import { concatTables } from './source.ts'

/** Some rows on their way: `key` says to which partition, `name` to which group of it; the others are their order. */
export interface Piece {
  key: number
  name: string | null
  source: number
  place: number
  table: Table
}

/** Bytes of a piece, about: Spark's shuffle holds some of them at once. */
const PIECE_BYTES = 16e6

const field = (name: string, type: Int32 | Utf8 | Binary) => new Field(name, type, true)

export const PIECES: Schema = new Schema([
  field('key', new Int32()),
  field('name', new Utf8()),
  field('source', new Int32()),
  field('place', new Int32()),
  field('block', new Binary()),
])

export const TOLD: Schema = new Schema([field('told', new Utf8())])

export function pieceRow({ key, name, source, place, table }: Piece): Table {
  return new Table({
    key: vectorFromArray([key], new Int32()),
    name: vectorFromArray([name], new Utf8()),
    source: vectorFromArray([source], new Int32()),
    place: vectorFromArray([place], new Int32()),
    block: vectorFromArray([tableToIpc(table)], new Binary()),
  })
}

/** The pieces of a partition, as they come. */
export async function* piecesOf(tables: AsyncIterable<Table>): AsyncGenerator<Piece> {
  for await (const table of tables) {
    const [key, name, source, place, block] = ['key', 'name', 'source', 'place', 'block'].map(
      (column) => table.getChild(column)!,
    )
    for (let row = 0; row < table.numRows; row++) {
      yield {
        key: key!.get(row),
        name: name!.get(row),
        source: source!.get(row),
        place: place!.get(row),
        table: tableFromIpc(block!.get(row)),
      }
    }
  }
}

/** Tables put together to pieces of that size; what is left at the end comes in so many. */
export async function* inPieces(tables: AsyncIterable<Table>, numLast: number): AsyncGenerator<Table> {
  let held: Table[] = []
  let size = 0
  for await (const table of tables) {
    const bytes = tableToIpc(table).length
    if (bytes >= PIECE_BYTES) {
      yield* inParts(table, bytes)
      continue
    }
    held.push(table)
    size += bytes
    if (size < PIECE_BYTES) continue
    yield concatTables(held)
    held = []
    size = 0
  }
  const [first] = held
  if (!first) return
  const rest = concatTables(held)
  for (let i = 0; i < numLast; i++) {
    const bound = (place: number) => Math.floor((place * rest.numRows) / numLast)
    if (bound(i) < bound(i + 1)) yield rest.slice(bound(i), bound(i + 1))
  }
}

/** A table in parts that are fit to be shuffled. */
export function* inParts(table: Table, sizeBytes: number): Generator<Table> {
  const rows = Math.max(1, Math.floor((table.numRows * PIECE_BYTES) / Math.max(1, sizeBytes)))
  for (let first = 0; first < table.numRows; first += rows) yield table.slice(first, first + rows)
}

/** Pieces of one key and name together, in the order of source and place. */
export const inOrder = (pieces: SparkDataset, numPartitions: number): SparkDataset =>
  pieces.partitionBy('key', { numPartitions }).sortWithinPartitions('key', 'name', 'source', 'place')

export const toldRow = (value: unknown): Table =>
  new Table({ told: vectorFromArray([JSON.stringify(value)], new Utf8()) })

/** What the tasks of a stage tell. */
export async function toldBy<T>(dataset: SparkDataset, run: ExecuteOptions): Promise<T[]> {
  const all: T[] = []
  for await (const table of dataset.tables(run)) {
    for (const text of table.getChildAt(0)!) all.push(JSON.parse(text) as T)
  }
  return all
}
