// Tasks of a forest in one file of Annoy's: items to files, items to the leaves of each tree's first splits, a branch of each leaf, all in one.
import { closeSync, fsyncSync, openSync, readFileSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Table as ArrowTable, DataType, type FixedSizeList, makeData, type Table, Uint32, Vector } from 'apache-arrow'
import { invalidOption } from '../../../errors.ts'
import {
  buildBranch,
  type ForestSpace,
  type ItemBlock,
  mergeForest,
  numLeavesOf,
  routeBlock,
  type TreeParts,
} from '../../../indexes/forest-parts.ts'
import { Samples } from '../../../join/sample.ts'
import { call, callNow } from '../../../native.ts'
import { tableFromIpc } from '../../../table/ipc.ts'
import { readVectors } from '../../../table/read.ts'
import { columnNotFound } from '../../../table/schema.ts'
import { vectorsTable } from '../../../table/source.ts'
import type { IndexParams } from '../../index-params.ts'
import { numbersOf } from '../control-rows.ts'
import { inParts, type Piece, pieceRow, piecesOf, toldRow } from './blocks.ts'
import type { ItemBlocks } from './build-tasks.ts'
import { readBlock } from './source.ts'

/** Items of a task, as it left them. */
export interface StagedItems {
  /** Files of vectors, and of ids. */
  vectors: string
  ids: string
  numRows: number
  dim: number
  /** Where ids are to be Annoy's numbers, the highest + 1. */
  end: number
}

export interface StagingItems {
  staged: string
  items: ItemBlocks | undefined
  params: IndexParams
  sampleRows: number
  byId: boolean
}

const VECTOR = 'vector'
const ID = 'id'
/** Items that are routed, or merged, at a time. */
const CHUNK_ROWS = 65_536

/** Writes the items of each table to files, and gives some of them. */
export async function* stageItems(input: AsyncIterable<Table>, stage: StagingItems): AsyncGenerator<Table> {
  const { staged, params, sampleRows, byId } = stage
  const task = Number(process.env.NIGH_PARTITION ?? 0)
  let place = 0
  for await (const [source, table] of stage.items ? blocksOf(input, stage.items) : tablesOf(input, task)) {
    if (table.numRows === 0) continue
    const { idCol, featuresCol, onInvalid, threads } = params
    const reading = { idCol: idCol ?? ID, featuresCol, onInvalid, threads, side: 'item' }
    const read = await readVectors(table, reading, {})
    try {
      const { numRows, dim } = read
      if (read.generatedIds) throw columnNotFound(table.schema, read.idCol)
      if (numRows === 0) continue
      const name = `items-${source}-${place}-${process.env.NIGH_ATTEMPT ?? 0}-${process.pid}`
      const [vectors, ids] = [`${name}.f32`, `${name}.arrow`]
      const file = openSync(join(staged, vectors), 'w')
      for (let first = 0; first < numRows; first += CHUNK_ROWS) {
        writeSync(
          file,
          callNow(() => read.vectors(first, Math.min(CHUNK_ROWS, numRows - first))),
        )
      }
      fsyncSync(file)
      closeSync(file)
      await call((native, job) => native.writeItemColumns(join(staged, ids), read, job), {})
      const end = byId ? endOf(idsOf(callNow((native) => native.itemColumnsIpc(read)))) : 0
      const told: StagedItems = { vectors, ids, numRows, dim, end }
      const chosen = new Samples(numRows, params.kind.seed + source, sampleRows).chosen
      const sample = new Float32Array(chosen.length * dim)
      for (const [i, row] of chosen.entries())
        sample.set(
          callNow(() => read.vectors(row, 1)),
          i * dim,
        )
      const piece = { key: 0, name: JSON.stringify(told), source, place: place++ }
      yield pieceRow({ ...piece, table: vectorsTable({ vectors: sample, dim }) })
    } finally {
      read.dispose()
    }
  }
}

async function* blocksOf(
  control: AsyncIterable<Table>,
  { files, blocks, columns }: ItemBlocks,
): AsyncGenerator<[number, Table]> {
  for await (const block of numbersOf(control)) yield [block, await readBlock(files, blocks[block]!, columns)]
}

async function* tablesOf(input: AsyncIterable<Table>, task: number): AsyncGenerator<[number, Table]> {
  for await (const table of input) yield [task, table]
}

const idsOf = (ipc: Uint8Array): Vector => tableFromIpc(ipc).getChildAt(0)!

/** Annoy's numbers are whole ones below 2^31. */
function endOf(ids: Vector): number {
  let end = 0
  for (const id of ids) {
    const number = Number(id)
    if (!DataType.isInt(ids.type) || !(number >= 0 && number < 2 ** 31 - 1)) {
      throw invalidOption('byId', `Annoy's items are whole numbers from 0 to below 2^31, not ${id}`)
    }
    if (number >= end) end = number + 1
  }
  return end
}

/** What all stages after the first know. */
export interface Growing {
  staged: string
  space: ForestSpace
  /** In order; the number of the first item of each is what the others have in all, unless `byId`. */
  items: StagedItems[]
  byId: boolean
  /** Files of the first splits of each tree. */
  parents: string[]
  /** More than any tree has leaves. */
  mostLeaves: number
  numItems: number
  threads: number
}

const firstOf = ({ items }: Growing, at: number): number =>
  items.slice(0, at).reduce((sum, { numRows }) => sum + numRows, 0)

/** The items of a file, some at a time. */
function* chunksOf(stage: Growing, at: number): Generator<ItemBlock> {
  const { staged, items, byId } = stage
  const { vectors, ids, numRows, dim } = items[at]!
  const first = firstOf(stage, at)
  const numbers = byId ? tableFromIpc(readFileSync(join(staged, ids))).getChildAt(0)! : undefined
  const file = openSync(join(staged, vectors), 'r')
  try {
    for (let row = 0; row < numRows; row += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, numRows - row)
      const some = new Float32Array(count * dim)
      readSync(file, some, 0, some.byteLength, row * dim * 4)
      const numberOf = numbers ? (i: number) => Number(numbers.get(row + i)) : (i: number) => first + row + i
      yield { vectors: some, ids: Uint32Array.from({ length: count }, (_, i) => numberOf(i)) }
    }
  } finally {
    closeSync(file)
  }
}

/** Items to the leaves of each tree. */
export async function* routeItems(control: AsyncIterable<Table>, stage: Growing): AsyncGenerator<Table> {
  const { staged, parents, mostLeaves, space } = stage
  for await (const source of numbersOf(control)) {
    let place = 0
    for (const chunk of chunksOf(stage, source)) {
      for (const [tree, name] of parents.entries()) {
        const leaves = await routeBlock(readFileSync(join(staged, name)), chunk)
        const rowsOf = new Map<number, number[]>()
        for (const [row, leaf] of leaves.entries()) {
          const rows = rowsOf.get(leaf)
          if (rows) rows.push(row)
          else rowsOf.set(leaf, [row])
        }
        for (const [leaf, rows] of rowsOf) {
          const table = itemTable(someOf(chunk, rows, space.dim), space.dim)
          for (const part of inParts(table, rows.length * (space.dim + 1) * 4)) {
            yield pieceRow({ key: tree * mostLeaves + leaf, name: null, source, place: place++, table: part })
          }
        }
      }
    }
  }
}

function someOf({ vectors, ids }: ItemBlock, rows: readonly number[], dim: number): ItemBlock {
  const some = new Float32Array(rows.length * dim)
  for (const [i, row] of rows.entries()) some.set(vectors.subarray(row * dim, (row + 1) * dim), i * dim)
  return { vectors: some, ids: Uint32Array.from(rows, (row) => ids[row]!) }
}

function itemTable({ vectors, ids }: ItemBlock, dim: number): Table {
  const numbers = new Vector([makeData({ type: new Uint32(), data: ids })])
  return new ArrowTable({ [ID]: numbers, [VECTOR]: vectorsTable({ vectors, dim }).getChild(VECTOR)! })
}

/** The items of pieces, by their numbers: the order in which they came is not that of another run. */
function itemsIn(pieces: readonly Piece[], dim: number): ItemBlock {
  const blocks = pieces.map(({ table }) => ({
    ids: table.getChild(ID)!.toArray() as Uint32Array,
    vectors: floatsOf(table.getChild(VECTOR)!, dim),
  }))
  const numRows = blocks.reduce((sum, { ids }) => sum + ids.length, 0)
  const all: ItemBlock = { ids: new Uint32Array(numRows), vectors: new Float32Array(numRows * dim) }
  let row = 0
  for (const { ids, vectors } of blocks) {
    all.ids.set(ids, row)
    all.vectors.set(vectors, row * dim)
    row += ids.length
  }
  return all
}

function floatsOf(column: Vector, dim: number): Float32Array {
  const all = new Float32Array(column.length * dim)
  let row = 0
  for (const data of column.data) {
    const list = data.type as FixedSizeList
    const values = data.children[0]!.values as Float32Array
    // A slice of a list of fixed size has the child of the slice.
    all.set(values.subarray(0, data.length * list.listSize), row * dim)
    row += data.length
  }
  return all
}

/** A branch that a task grew. */
export interface Branch {
  tree: number
  leaf: number
  count: number
  file: string
}

/** The branch of each leaf. */
export async function* growBranches(pieces: AsyncIterable<Table>, stage: Growing): AsyncGenerator<Table> {
  let group: Piece[] = []
  for await (const piece of piecesOf(pieces)) {
    if (group.length > 0 && group[0]!.key !== piece.key) {
      yield toldRow(await branchOf(group, stage))
      group = []
    }
    group.push(piece)
  }
  if (group.length > 0) yield toldRow(await branchOf(group, stage))
}

async function branchOf(pieces: readonly Piece[], stage: Growing): Promise<Branch> {
  const { staged, parents, mostLeaves, numItems, space, threads } = stage
  const { key } = pieces[0]!
  const [tree, leaf] = [Math.floor(key / mostLeaves), key % mostLeaves]
  const items = itemsIn(pieces, space.dim)
  const parent = readFileSync(join(staged, parents[tree]!))
  const branch = await buildBranch(parent, leaf, items, numItems, threads)
  const file = `branch-${tree}-${leaf}-${process.env.NIGH_ATTEMPT ?? 0}-${process.pid}.bin`
  writeFileSync(join(staged, file), branch)
  return { tree, leaf, count: items.ids.length, file }
}

export interface Merging extends Growing {
  /** JSON of all branches: there may be many. */
  branches: string
  /** The files to make. */
  forest: string
  ids: string | undefined
}

/** Items and branches to one file, in one task: no more of them than a block or a branch is held. */
export async function* mergeTrees(control: AsyncIterable<Table>, stage: Merging): AsyncGenerator<Table> {
  const { staged, space, items, parents, numItems, threads } = stage
  for await (const _ of numbersOf(control)) {
    const branches = JSON.parse(readFileSync(join(staged, stage.branches), 'utf8')) as Branch[]
    async function* trees(): AsyncGenerator<TreeParts> {
      for (const [tree, name] of parents.entries()) {
        const parent = readFileSync(join(staged, name))
        const own = new Map(branches.filter((one) => one.tree === tree).map((one) => [one.leaf, one]))
        const leaves = Array.from({ length: numLeavesOf(parent) }, (_, leaf) => own.get(leaf))
        async function* grown() {
          for (const [leaf, branch] of leaves.entries()) {
            const none = { vectors: new Float32Array(), ids: new Uint32Array() }
            yield branch
              ? readFileSync(join(staged, branch.file))
              : await buildBranch(parent, leaf, none, numItems, threads)
          }
        }
        yield { parent, counts: Uint32Array.from(leaves, (branch) => branch?.count ?? 0), branches: grown() }
      }
    }
    function* blocks() {
      for (const at of items.keys()) yield* chunksOf(stage, at)
    }
    const own = `${stage.forest}-${process.env.NIGH_ATTEMPT ?? 0}-${process.pid}`
    await mergeForest(join(staged, own), space, numItems, blocks(), trees())
    renameSync(join(staged, own), join(staged, stage.forest))
    if (stage.ids !== undefined) await writeIds(stage, stage.ids)
    yield toldRow({ numItems })
  }
}

/** The ids in the order of Annoy's numbers. */
async function writeIds({ staged, items, space }: Merging, name: string): Promise<void> {
  const read = (file: string) => call((native) => native.readItemColumns(join(staged, file), space.dim, false), {})
  const tables = await Promise.all(items.map(({ ids }) => read(ids)))
  const all = await call((native) => native.concatItemColumns(tables), {})
  try {
    const own = `${process.env.NIGH_ATTEMPT ?? 0}-${process.pid}-${name}`
    await call((native, job) => native.writeItemColumns(join(staged, own), all, job), {})
    renameSync(join(staged, own), join(staged, name))
  } finally {
    all.dispose()
    for (const table of tables) table.dispose()
  }
}
