// What the tasks of a join that shuffles are told.
import type { JoinParams } from '../../join/options.ts'
import type { Block, TaskOutput } from './blocks.ts'
import type { TableSide } from './table-side.ts'

/** Of all stages of one join. */
export interface JoinWork {
  items: TableSide
  /** Undefined in a self join. */
  queries: TableSide | undefined
  params: JoinParams
  /** Where temporary files go. Undefined: where Spark has its own. */
  tmp: string | undefined
  /** Ranges of queries, each merged and written by one task, and the key that brings a range to its task. */
  ranges: Block[]
  rangeKeys: number[]
  sliceRows: number
}

/** Consecutive partitions of a side, read by one task. */
export interface ReadTask {
  side: 'item' | 'query'
  first: number
  count: number
}

export interface SampleStage {
  items: TableSide
  queries: TableSide | undefined
  params: JoinParams
  tasks: (ReadTask & { rows: number[] })[]
}

export interface AssignStage extends JoinWork {
  tasks: ReadTask[]
  cellsPath: string
  partitionKeys: number[]
  /** Rows go to partitions whose borders are within it: queries do, and items where they ask themselves. */
  margin: number
  /** Most partitions of a row. */
  width: number
  /** Items go with the queries: every row of a partition asks the others. */
  itemsAsk: boolean
}

export interface SearchStage extends JoinWork {
  partitionKeys: number[]
  itemsAsk: boolean
  /** Of the search in a partition. */
  recall: number
}

export interface GridStage extends JoinWork {
  /** Each block of queries meets each block of items. */
  queryBlocks: Block[]
  itemBlocks: Block[]
}

export interface TruthStage extends JoinWork {
  tasks: ReadTask[]
  cellsPath: string
  samplePath: string
  width: number
}

export interface MergeStage extends JoinWork {
  directory: string
  /** Candidates of a query may have an item twice. */
  mayRepeat: boolean
  /** Row numbers of queries whose neighbors are told. */
  sample: number[]
  output: TaskOutput
}

/** What a task of a search tells: how its part went. */
export interface PartDone {
  part: number
  items: number
  queries: number
  method: string
  recall: number
  receivedBytes: number
  cpuSeconds: number
  peakMemoryBytes: number
}

/** A range, merged and written. */
export interface RangeDone {
  range: number
  /** In the directory of the stage; of a Delta table what is to be committed. Undefined where it has no rows. */
  file: string | undefined
  queries: number
  neighbors: number
  /** Neighbors of the sampled queries. */
  sample: { query: number; rows: number[]; distances: number[] }[]
  parts: PartDone[]
  receivedBytes: number
  cpuSeconds: number
  peakMemoryBytes: number
}

/** A kind of block that is none of a range: what a part tells. */
export const PART_DONE = -1

/** Items and queries in what the assigning tasks give. */
export const ITEMS = 0
export const QUERIES = 1

/** The queries of a join. */
export function querySide({ items, queries }: Pick<JoinWork, 'items' | 'queries'>): TableSide {
  return queries ?? items
}

/** Columns of the items that the merging tasks need. */
export function itemColumns({ items }: Pick<JoinWork, 'items'>): string[] {
  return [...new Set([items.idCol, ...items.columns])]
}

/** Columns of the queries that the merging tasks need. */
export function queryColumns(work: Pick<JoinWork, 'items' | 'queries' | 'params'>): string[] {
  return [...new Set([querySide(work).idCol, ...work.params.query.columns])]
}
