// Exact neighbors of sampled queries: each task searches its items, the client merges.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { routeOf } from '../../partition/router.ts'
import { blocksOf } from './blocks.ts'
import type { Truth } from './choose-margin.ts'
import { controlRows } from './control-rows.ts'
import type { SampledRows } from './draw-samples.ts'
import type { JoinWork, TruthStage } from './join-stage.ts'
import { packArrays, unpackArrays } from './packed-arrays.ts'
import { type RunContext, streamed } from './run-context.ts'
import { BLOCK_SCHEMA, blocksIn } from './shuffle-blocks.ts'

export interface TruthTask {
  directory: string
  cellsPath: string
  numTasks: number
  /** Partitions told of each neighbor. */
  width: number
}

export async function collectTruths(
  context: RunContext,
  work: JoinWork,
  sample: SampledRows,
  { directory, cellsPath, numTasks, width }: TruthTask,
): Promise<Truth[]> {
  if (sample.rows.length === 0) return []
  const samplePath = join(directory, 'sample')
  writeFileSync(samplePath, packArrays([sample.rows, sample.vectors]))
  const tasks = blocksOf(work.items.partitionRows, numTasks).map(({ first, count }) => ({
    side: 'item' as const,
    first,
    count,
  }))
  const stage: TruthStage = { ...work, tasks, cellsPath, samplePath, width }
  const dataset = controlRows(context.spark, tasks.length).stage('truths', stage, BLOCK_SCHEMA)
  const { k, includeSelf } = work.params
  const best: Neighbor[][] = [...sample.rows].map(() => [])
  // Of each task only what is among the nearest so far is kept.
  for await (const table of streamed(dataset, context, 'truth')) {
    for (const { block } of blocksIn(table)) {
      for (const [query, neighbors] of neighborsIn(block!, width).entries()) {
        const own = work.queries === undefined && !includeSelf ? sample.rows[query] : undefined
        const all = [...best[query]!, ...neighbors.filter(({ row }) => row !== own)]
        best[query] = all.sort((a, b) => a.distance - b.distance || a.row - b.row).slice(0, k)
      }
    }
  }
  return best.map((neighbors) => ({
    rows: neighbors.map(({ row }) => row),
    distances: neighbors.map(({ distance }) => distance),
    routes: neighbors.map(({ route }) => route),
  }))
}

interface Neighbor {
  row: number
  distance: number
  route: Truth['routes'][number]
}

function neighborsIn(block: Uint8Array, width: number): Neighbor[][] {
  const [counts, rows, distances, near, partitions, margins] = unpackArrays(block) as [
    Uint32Array,
    Float64Array,
    Float32Array,
    Uint32Array,
    Uint32Array,
    Float32Array,
  ]
  let at = 0
  return Array.from(counts, (count) =>
    Array.from({ length: count }, () => {
      const route = routeOf({ width, counts: near, partitions, margins }, at)
      return { row: rows[at]!, distance: distances[at++]!, route }
    }),
  )
}
