// Queries against a model, as a plan of Spark's: which tasks search which shards, and how their answers come together.
import type { Schema } from 'apache-arrow'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import type { SegmentFacts } from '../../../indexes/index-directory.ts'
import type { IndexSearchOptions } from '../../index-search.ts'
import { controlRows } from '../control-rows.ts'
import { inOrder, PIECES } from './blocks.ts'
import type { Asking } from './search-tasks.ts'
import { blocksOfFiles, type Source } from './source.ts'

export interface SparkTransformOptions
  extends ExecuteOptions,
    Pick<IndexSearchOptions, 'k' | 'effort' | 'maxDistance' | 'filter' | 'excludeSelf' | 'columns'>,
    Pick<IndexSearchOptions, 'queryIdCol' | 'queryFeaturesCol'> {
  /** Parts that the queries are cut into, where they are files. Default: as many as the tasks that the cluster runs at once. */
  numTasks?: number | undefined
  /**
   * Bytes of shards that one task searches: what does not fit is searched by others, and the answers are merged. Default `2GB`: shards are
   * mapped, so that it is the memory of a node rather than of a process.
   */
  memory?: number | string | undefined
}

/** Most queries of a task. */
const TASK_QUERIES = 262_144

/** The queries with their neighbors, cut into about so many tasks. */
export function answers(spark: Spark, source: Source, asking: Asking, schema: Schema, numTasks: number): SparkDataset {
  const { groups, needed, params } = asking
  const merging = { numGroups: groups.length, k: params.k, predictionCol: params.predictionCol }
  const merged = (pieces: SparkDataset, tasks: number) => inOrder(pieces, tasks).stage('mergePieces', merging, schema)
  if ('files' in source) {
    const total = source.partitionRows.reduce((sum, rows) => sum + rows, 0)
    const blocks = blocksOfFiles(source.partitionRows, Math.max(numTasks, Math.ceil(total / TASK_QUERIES)))
    const control = controlRows(spark, blocks.length * groups.length)
    const stage = { ...asking, files: source.files, blocks }
    if (groups.length === 1) return control.stage('searchFiles', stage, schema)
    return merged(control.stage('searchFiles', stage, PIECES), Math.max(1, blocks.length))
  }
  if (groups.length === 1) return source.rows.stage('searchRows', asking, schema)
  const packed = inOrder(source.rows.stage('packQueries', { groups, needed }, PIECES), numTasks * groups.length)
  return merged(packed.stage('searchPieces', asking, PIECES), numTasks)
}

/** Consecutive segments that are searched together: as many as fit. */
export function groupsOf(segments: readonly SegmentFacts[], bytes: number): SegmentFacts[][] {
  const groups: SegmentFacts[][] = []
  let left = 0
  for (const segment of segments) {
    const size = segment.index.sizeBytes + segment.columns.sizeBytes
    if (groups.length === 0 || size > left) {
      groups.push([])
      left = bytes
    }
    groups.at(-1)!.push(segment)
    left -= size
  }
  return groups
}
