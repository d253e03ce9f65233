// A similarity join on a cluster: the rows of both tables are shuffled to the partitions of their buckets, and compared there.
import { randomUUID } from 'node:crypto'
import { Field, Float32, Float64, Int32, Schema } from 'apache-arrow'
import type { ExecuteOptions } from '../../../engine/spark/connect/session.ts'
import type { Spark } from '../../../engine/spark/spark.ts'
import type { SparkDataset } from '../../../engine/spark/spark-dataset.ts'
import { invalidOption } from '../../../errors.ts'
import { integer } from '../../../join/options.ts'
import { selected } from '../../../table/schema.ts'
import { checkJoin, type SimilarityJoinOptions } from '../../lsh-join.ts'
import type { LshParams } from '../../lsh-params.ts'
import { controlRows, parallelism } from '../control-rows.ts'
import { shuffleKeys } from '../shuffle-keys.ts'
import { inOrder, PIECES } from './blocks.ts'
import type { Buckets, Cut } from './lsh-buckets.ts'
import type { Hashing } from './lsh-tasks.ts'
import { blocksOfFiles, openSource, type SparkTable } from './source.ts'

export interface SparkSimilarityJoinOptions
  extends Omit<SimilarityJoinOptions, 'signal' | 'onProgress'>,
    ExecuteOptions {
  spark: Spark
  /** Partitions that the buckets are shuffled to. Default: four times the tasks that the cluster runs at once. */
  numPartitions?: number | undefined
  /** Pairs of rows above which a bucket is cut, and its parts go to several partitions. Default 1e9. */
  maxBucketPairs?: number | undefined
}

const BUCKET_PAIRS = 1e9

interface Side {
  input: SparkDataset
  stage: Hashing
  id: Field
  /** At most, where files tell. */
  numRows: number
}

/** The pairs of two tables, or without a second of one with itself. */
export async function joinOnSpark(
  a: SparkTable,
  b: SparkTable | undefined,
  threshold: number,
  params: LshParams,
  space: { dim: number; bits: boolean },
  options: SparkSimilarityJoinOptions,
): Promise<SparkDataset> {
  const { spark, maxBucketPairs = BUCKET_PAIRS, signal, onProgress, tags } = options
  const run: ExecuteOptions = { signal, onProgress, tags }
  const names = checkJoin(threshold, { distCol: options.distCol, idACol: options.idACol, idBCol: options.idBCol })
  if (!(maxBucketPairs >= 1)) throw invalidOption('maxBucketPairs', 'must be 1 or more')
  const tasks = await parallelism(spark, run)
  const numPartitions = integer('numPartitions', options.numPartitions ?? 4 * tasks, 1, 65_536)
  const left = await sideOf(spark, 'a', a, params, space, tasks)
  const right = b === undefined ? undefined : await sideOf(spark, 'b', b, params, space, tasks)
  const cuts = await largeBuckets(spark, left, right, maxBucketPairs, run)
  const buckets: Buckets = { numPartitions, cuts, isSelf: !right }
  const keys = shuffleKeys(numPartitions)
  const spread = ({ input, stage }: Side) => input.stage('spreadBuckets', { ...stage, buckets, keys }, PIECES)
  const both = right ? spread(left).union(spread(right)) : spread(left)
  const schema = new Schema([
    new Field(names[0]!, left.id.type, true),
    new Field(names[1]!, (right ?? left).id.type, true),
    new Field(names[2]!, new Float32(), true),
  ])
  const verifying = { params, ...space, buckets, keys, threshold, names }
  return inOrder(both, numPartitions).stage('verifyPairs', verifying, schema)
}

async function sideOf(
  spark: Spark,
  side: 'a' | 'b',
  input: SparkTable,
  params: LshParams,
  space: { dim: number; bits: boolean },
  tasks: number,
): Promise<Side> {
  const source = await openSource(spark, input, side)
  const { idCol = 'id', featuresCol = 'vector' } = params.item
  const columns = [idCol, featuresCol]
  // Rows of tasks have no numbers that the whole table knows.
  const [id] = selected(source.schema, columns).fields
  const common = { side, params, ...space, idCol, featuresCol }
  if ('rows' in source)
    return {
      input: source.rows.select(columns),
      stage: { ...common, items: undefined },
      id: id!,
      numRows: Number.POSITIVE_INFINITY,
    }
  const blocks = blocksOfFiles(source.partitionRows, tasks)
  const items = { files: source.files, blocks, columns }
  const numRows = source.partitionRows.reduce((sum, rows) => sum + rows, 0)
  return { input: controlRows(spark, blocks.length), stage: { ...common, items }, id: id!, numRows }
}

const COUNTS = new Schema([
  new Field('bucket', new Int32(), true),
  new Field('hash', new Float64(), true),
  new Field('a', new Float64(), true),
  new Field('b', new Float64(), true),
])

/** Buckets with too many pairs, and how they are cut. Spark counts. */
async function largeBuckets(
  spark: Spark,
  left: Side,
  right: Side | undefined,
  most: number,
  run: ExecuteOptions,
): Promise<Cut[]> {
  // Not even one bucket of all rows would be too large.
  if (left.numRows * (right ?? left).numRows <= most || most === Number.POSITIVE_INFINITY) return []
  const counted = ({ input, stage }: Side) => input.stage('countBuckets', stage, COUNTS)
  const both = right ? counted(left).union(counted(right)) : counted(left)
  const view = `nigh_buckets_${randomUUID().replaceAll('-', '')}`
  await both.createTempView(view, run)
  try {
    const pairs = right ? 'sum(a) * sum(b)' : 'sum(a) * sum(a)'
    const query = `SELECT bucket, hash, sum(a) AS a, sum(b) AS b FROM ${view} GROUP BY bucket, hash HAVING ${pairs} > ${most}`
    const rows = await spark.sql(query).toRows(run)
    const parts = (count: unknown) => Math.min(4096, Math.ceil(Number(count) / Math.sqrt(most)))
    return rows.map(({ bucket, hash, a, b }) => ({
      table: Number(bucket),
      hash: Number(hash),
      a: parts(a),
      b: parts(right ? b : a),
    }))
  } finally {
    await spark.execute(`DROP VIEW IF EXISTS ${view}`, run)
  }
}
