// Samples of the rows of a join, drawn by tasks: rows to make cells of, and queries whose exact neighbors tell the recall.
import { RowSampler } from '../../join/sample.ts'
import { blocksOf } from './blocks.ts'
import { controlRows } from './control-rows.ts'
import type { JoinWork, SampleStage } from './join-stage.ts'
import { unpackArrays } from './packed-arrays.ts'
import { collected, type RunContext } from './run-context.ts'
import { BLOCK_SCHEMA, blocksIn } from './shuffle-blocks.ts'
import { firstRows, type TableSide } from './table-side.ts'

/** Rows of one side by their numbers, and their vectors. */
export interface SampledRows {
  rows: Float64Array
  vectors: Float32Array
  dim: number
}

export interface Samples {
  /** Items to make cells of. */
  training: SampledRows
  /** Queries to choose on, and others to tell the recall of the result by. */
  choosing: SampledRows
  validation: SampledRows
}

export interface SampleSizes {
  training: number
  choosing: number
  validation: number
  /** How many tasks draw from each side. */
  numTasks: number
}

export async function drawSamples(context: RunContext, work: JoinWork, sizes: SampleSizes): Promise<Samples> {
  const { items, queries, params } = work
  const itemRows = total(items)
  const training = new RowSampler(itemRows, params.seed).take(Math.min(itemRows, sizes.training))
  const asking = queries ?? items
  const sampler = new RowSampler(total(asking), params.seed + 1)
  const choosing = sampler.take(Math.min(sizes.choosing, sampler.left))
  const validation = sampler.take(Math.min(sizes.validation, sampler.left))
  const asked = [...choosing, ...validation]
  const tasks = queries
    ? [...tasksOf('item', items, [...training], sizes.numTasks), ...tasksOf('query', queries, asked, sizes.numTasks)]
    : tasksOf('item', items, [...new Set([...training, ...asked])], sizes.numTasks)
  const stage: SampleStage = { items, queries, params, tasks }
  const dataset = controlRows(context.spark, tasks.length).stage('sampleRows', stage, BLOCK_SCHEMA)
  const tables = await collected(dataset, context, 'sample')
  const found = [new Map<number, Float32Array>(), new Map<number, Float32Array>()] as const
  let dim = 0
  for (const table of tables) {
    for (const { key, kind, block } of blocksIn(table)) {
      const [rows, vectors] = unpackArrays(block!) as [Float64Array, Float32Array]
      dim = kind
      for (const [i, row] of rows.entries()) found[key === 0 ? 0 : 1].set(row, vectors.subarray(i * dim, (i + 1) * dim))
    }
  }
  const of = (wanted: Uint32Array, vectors: Map<number, Float32Array>): SampledRows => {
    // Rows that were dropped or deleted are not there.
    const rows = Float64Array.from(wanted.filter((row) => vectors.has(row)))
    const all = new Float32Array(rows.length * dim)
    for (const [i, row] of rows.entries()) all.set(vectors.get(row)!, i * dim)
    return { rows, vectors: all, dim }
  }
  const asks = queries ? found[1] : found[0]
  return { training: of(training, found[0]), choosing: of(choosing, asks), validation: of(validation, asks) }
}

function total({ partitionRows }: TableSide): number {
  return partitionRows.reduce((sum, rows) => sum + rows, 0)
}

/** Tasks that read some partitions each, and the rows they draw. Those that draw none are left out. */
function tasksOf(side: 'item' | 'query', table: TableSide, rows: number[], numTasks: number): SampleStage['tasks'] {
  const starts = firstRows(table)
  const sorted = rows.sort((a, b) => a - b)
  return blocksOf(table.partitionRows, numTasks)
    .map(({ first, count }) => {
      const from = starts[first]!
      const to = starts[first + count] ?? Number.POSITIVE_INFINITY
      return { side, first, count, rows: sorted.filter((row) => row >= from && row < to) }
    })
    .filter((task) => task.rows.length > 0)
}
