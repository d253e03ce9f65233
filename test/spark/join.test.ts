// The same joins on both engines: exact ones row by row, the others by their recall. One server for all of them.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Spark } from '../../src/engine/spark/spark.ts'
import { type KnnJoinOptions, knnJoin, selfJoin } from '../../src/model/knn-join.ts'
import { explainSparkJoin, type SparkPlanOptions, sparkJoin, sparkSelfJoin } from '../../src/model/spark/join.ts'
import type { SparkJoinProgress } from '../../src/model/spark/run-context.ts'
import { readTable } from '../../src/table/datasets.ts'
import type { Row } from '../../src/table/rows/convert.ts'
import { nigh, nighStarted, temporaryDirectory } from '../support/run.ts'
import { processesBelow, until } from './processes.ts'
import { type SparkServer, startSparkServer } from './server.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const ivy = fileURLToPath(new URL('../../.venv/ivy', import.meta.url))

let server: SparkServer
let spark: Spark

const vector = (seed: number, dim = 8) =>
  `transform(sequence(1, ${dim}), i -> float(pmod(hash(id, i, ${seed}), 1000) / 10)) AS vector`
/** Around one of 40 centers. */
const clustered = (seed: number, dim = 8) =>
  `transform(sequence(1, ${dim}), i -> float(pmod(hash(pmod(hash(id, ${seed}), 40), i), 1000) / 5.0 + pmod(hash(id, i, ${seed}), 1000) / 10.0)) AS vector`

beforeAll(async () => {
  server = await startSparkServer(at('server'), {
    // What fails is tried once more, and not three times.
    master: 'local[2,2]',
    conf: {
      'spark.jars.packages': 'io.delta:delta-spark_2.13:4.0.1',
      'spark.jars.ivy': ivy,
      'spark.sql.extensions': 'io.delta.sql.DeltaSparkSessionExtension',
      'spark.sql.catalog.spark_catalog': 'org.apache.spark.sql.delta.catalog.DeltaCatalog',
    },
  })
  spark = await Spark.connect(server.url)
  const write = (query: string, name: string) => spark.sql(query).write(at(name))
  await write(`SELECT id, ${vector(1)}, 'q' || id AS name FROM range(0, 500, 1, 4)`, 'queries')
  await write(`SELECT 'i' || id AS id, ${vector(2)}, id % 7 AS kind FROM range(0, 2000, 1, 4)`, 'items')
  await write(`SELECT id, ${vector(2)} FROM range(0, 3, 1, 2)`, 'few')
  await write(`SELECT id, ${vector(1)} FROM range(0, 10) WHERE id < 0`, 'none')
  // Each vector 25 times: ties go by the numbers of rows, over all parts.
  await write(`SELECT id, ${vector(3).replace('hash(id,', 'hash(id % 12,')} FROM range(0, 300, 1, 3)`, 'equal')
  await write(`SELECT ${vector(2)} FROM range(0, 700, 1, 3)`, 'unnamed')
  await write(`SELECT id, ${clustered(2)} FROM range(0, 20000, 1, 4)`, 'many')
  await write(`SELECT id, ${clustered(5)} FROM range(0, 3000, 1, 3)`, 'many-queries')
  await spark.execute(
    `CREATE TABLE delta.\`${at('delta')}\` USING delta PARTITIONED BY (part) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true') AS SELECT id, ${vector(4)}, id % 3 AS part FROM range(0, 900, 1, 2)`,
  )
  await spark.execute(`DELETE FROM delta.\`${at('delta')}\` WHERE id % 5 = 0`)
}, 300_000)

afterAll(async () => {
  await spark?.[Symbol.asyncDispose]()
  await server?.stop()
})

const rowsOf = async (path: string): Promise<Row[]> => (await readTable(path)).toRows()
let count = 0

interface Case {
  /** Undefined: the items with themselves. */
  queries?: string
  items: string
  options?: Omit<KnnJoinOptions, 'to' | 'onProgress' | 'signal' | 'engine'>
  spark?: SparkPlanOptions
}

/** A join on both engines: its report and rows there, its rows here. */
async function both({ queries, items, options = {}, spark: own = {} }: Case) {
  const [there, here] = [at(`there-${++count}`), at(`here-${count}.parquet`)]
  const run = { ...options, numTasks: 2, ...own, to: there }
  const report = await (queries === undefined
    ? sparkSelfJoin(spark, at(items), run)
    : sparkJoin(spark, at(queries), at(items), run))
  const { recall: _, ...exact } = options
  const local = { ...exact, exact: true, to: here }
  await (queries === undefined ? selfJoin(at(items), local) : knnJoin(at(queries), at(items), local))
  return { report, there: await rowsOf(there), here: await rowsOf(here) }
}

const exact = { exact: true, k: 4 }
/** For so many neighbors: a task tells. */
const tooLittle = { k: 2000, memory: '1MB' }
const grid: SparkPlanOptions = { strategy: 'grid', numPartitions: 2 }

const cases: [string, Case][] = [
  [
    'l2, with columns',
    {
      queries: 'queries',
      items: 'items',
      options: { ...exact, columns: ['kind'], queryColumns: ['name'] },
      spark: grid,
    },
  ],
  [
    'cosine, long',
    { queries: 'queries', items: 'items', options: { ...exact, metric: 'cosine', layout: 'long' }, spark: grid },
  ],
  [
    'inner-product',
    { queries: 'queries', items: 'items', options: { ...exact, metric: 'inner-product' }, spark: grid },
  ],
  ['self', { items: 'items', options: { ...exact, columns: ['kind'] }, spark: { numPartitions: 2 } }],
  ['self, itself included', { items: 'items', options: { ...exact, includeSelf: true }, spark: { numPartitions: 3 } }],
  ['equal vectors', { items: 'equal', options: { exact: true, k: 30 }, spark: { numPartitions: 3 } }],
  [
    'a distance that few are within',
    { queries: 'queries', items: 'items', options: { ...exact, maxDistance: 60 }, spark: grid },
  ],
  [
    'fewer items than k',
    { queries: 'queries', items: 'few', options: { ...exact, k: 9 }, spark: { strategy: 'grid', numPartitions: 2 } },
  ],
  ['no ids', { items: 'unnamed', options: exact, spark: { numPartitions: 2 } }],
  [
    'Delta tables with deleted rows and partitions',
    { queries: 'delta', items: 'delta', options: { ...exact, columns: ['part'] }, spark: grid },
  ],
  ['no queries', { queries: 'none', items: 'items', options: exact }],
  ['no items', { queries: 'queries', items: 'none', options: exact }],
  ['no rows', { items: 'none', options: exact }],
]

test.each(cases)('exact, %s: the rows of the local engine', async (_, one) => {
  const { report, there, here } = await both(one)
  expect(there).toEqual(here)
  expect(report.rows.queries).toBe(one.options?.layout === 'long' ? 500 : here.length)
  expect(report.recall).toMatchObject({ estimate: 1, target: 1 })
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([])
})

/** The part of the exact neighbors that were found; a neighbor is there once, and is not the row itself. */
function recallIn(there: Row[], here: Row[], self: boolean): number {
  expect(there.map(({ id }) => id)).toEqual(here.map(({ id }) => id))
  let [hits, all] = [0, 0]
  for (const [i, row] of there.entries()) {
    const neighbors = (rows: Row) => (rows.neighbors as { neighbor: unknown; distance: number }[]) ?? []
    const found = neighbors(row).map(({ neighbor }) => neighbor)
    expect(new Set(found).size).toBe(found.length)
    if (self) expect(found).not.toContain(row.id)
    const distances = neighbors(row).map(({ distance }) => distance)
    expect(distances).toEqual(distances.toSorted((a, b) => a - b))
    const truth = new Set(neighbors(here[i]!).map(({ neighbor }) => neighbor))
    hits += found.filter((id) => truth.has(id)).length
    all += truth.size
  }
  return hits / all
}

describe('at a recall, by partitions', () => {
  const shuffled: SparkPlanOptions = { strategy: 'partitions', numPartitions: 4 }
  const approximate: [string, Case][] = [
    ['l2', { queries: 'many-queries', items: 'many', options: { k: 10, recall: 0.9 } }],
    [
      'inner-product',
      { queries: 'many-queries', items: 'many', options: { k: 10, recall: 0.9, metric: 'inner-product' } },
    ],
    ['self', { items: 'many', options: { k: 10, recall: 0.9 } }],
  ]
  test.each(approximate)('%s: what is told holds against the exact neighbors', async (_, one) => {
    const { report, there, here } = await both({ ...one, spark: shuffled })
    const recall = recallIn(there, here, one.queries === undefined)
    const { low, high, estimate, sampleSize } = report.recall
    expect(report).toMatchObject({ strategy: 'partitions', numPartitions: 4 })
    expect(sampleSize).toBe(1000)
    expect(recall).toBeGreaterThan(0.89)
    // The interval is one of 95 %: twice its width is none that chance leaves.
    expect(recall).toBeGreaterThan(estimate - 2 * (estimate - low) - 0.005)
    expect(recall).toBeLessThan(estimate + 2 * (high - estimate) + 0.005)
    expect(report.spread).toBeGreaterThanOrEqual(1)
    expect(report.shuffledBytes).toBeGreaterThan(0)
  })
})

test('the session keeps its own settings, and progress tells phases', async () => {
  const key = 'spark.sql.execution.arrow.maxRecordsPerBatch'
  const before = await spark.session.getConfig(key)
  const seen: SparkJoinProgress[] = []
  const onProgress = (progress: SparkJoinProgress) => seen.push(progress)
  const to = at('progress')
  await sparkSelfJoin(spark, at('many'), { k: 10, recall: 0.9, numPartitions: 3, numTasks: 2, to, onProgress })
  expect(await spark.session.getConfig(key)).toBe(before)
  expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(['sample', 'truth', 'join']))
  // Spark tells every two seconds: of a short job only that it runs.
  expect(seen.every(({ numTasks, completedTasks }) => completedTasks <= numTasks)).toBe(true)
})

test('a Delta table, committed once: made, appended to, replaced, refused', async () => {
  const to = `delta:${at('near')}`
  const facts = async () => rowsOf(at('near'))
  const run = (options: Partial<SparkPlanOptions> = {}) =>
    sparkJoin(spark, at('queries'), at('items'), { ...exact, numTasks: 2, to, ...options })
  await knnJoin(at('queries'), at('items'), { ...exact, to: at('near.parquet') })
  const here = await rowsOf(at('near.parquet'))
  const sorted = (rows: Row[]) => rows.toSorted((a, b) => Number(a.id) - Number(b.id))
  expect((await run(grid)).output).toMatchObject({ version: 0, files: 2 })
  expect(sorted(await facts())).toEqual(here)
  await expect(run(grid)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  // Every task has all items: it copies what the local engine wrote.
  expect((await run({ mode: 'append' })).output.version).toBe(1)
  expect(await facts()).toHaveLength(1000)
  expect((await run({ ...grid, mode: 'overwrite' })).output.version).toBe(2)
  expect(sorted(await facts())).toEqual(here)
  await expect(run({ ...grid, layout: 'long', mode: 'append' })).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
  const wrong = sparkJoin(spark, at('queries'), at('many'), {
    ...exact,
    ...grid,
    ...tooLittle,
    to: `delta:${at('never')}`,
  })
  await expect(wrong).rejects.toMatchObject({ code: 'MEMORY_TOO_SMALL' })
  expect(existsSync(at('never'))).toBe(false)
  const files = readdirSync(at('near')).filter((name) => name.endsWith('.parquet'))
  expect(files).toHaveLength(6)
})

test('knnJoin and selfJoin run it, from SQL and datasets, too', async () => {
  const engine = { engine: 'spark', spark, ...exact } as const
  const some = spark.read(at('queries')).filter('id < 20')
  const report = await knnJoin(some, at('items'), { ...engine, to: at('of-dataset') })
  expect(report).toMatchObject({ rows: { queries: 20, neighbors: 80 } })
  const self = await selfJoin(`sql:SELECT id, vector FROM parquet.\`${at('items')}\` WHERE kind = 1`, {
    ...engine,
    to: at('of-sql'),
  })
  expect(self.rows).toEqual({ queries: 286, items: 286, neighbors: 4 * 286 })
})

test('explain tells tasks, partitions, bytes and memory, and runs nothing', async () => {
  const options = { k: 10, recall: 0.9, numTasks: 3, memory: '1GB' }
  const { plan, text } = await explainSparkJoin(spark, undefined, at('many'), options)
  expect(plan).toMatchObject({ strategy: 'partitions', numPartitions: 3, memoryBytes: 1e9 })
  expect(text).toMatch(/20,000 items with each other, 8 dimensions/)
  expect(text).toMatch(/partitions +3 of 64 cells/)
  expect(text).toMatch(/shuffled +about \d+ MB/)
  expect(text).toMatch(/memory +at most 1.0 GB a task/)
  const large = await explainSparkJoin(spark, undefined, at('many'), { ...options, memory: '3MB' })
  expect(large.plan.numPartitions).toBeGreaterThan(3)
  const ran = nigh([
    'join',
    at('queries'),
    at('items'),
    '--exact',
    '--engine',
    'spark',
    '--spark',
    server.url,
    '--explain',
  ])
  expect(ran.stdout).toMatch(/strategy +broadcast: the items fit/)
  await expect(explainSparkJoin(spark, 'sql:SELECT 1', at('many'))).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

test('what is wrong is told as one error, and nothing is left', async () => {
  const wrong = async (code: string, items: string, options: Partial<SparkPlanOptions> = {}) => {
    const joining = sparkJoin(spark, at('queries'), at(items), { ...exact, ...grid, to: at('wrong'), ...options })
    await expect(joining).rejects.toMatchObject({ code })
    expect(readdirSync(directory).filter((name) => name.includes('wrong'))).toEqual([])
  }
  await spark
    .sql(`SELECT id, IF(id = 77, CAST(NULL AS array<float>), vector) AS vector FROM parquet.\`${at('many-queries')}\``)
    .write(at('with-null'))
  await wrong('NULL_VECTOR', 'with-null')
  await wrong('NULL_VECTOR', 'with-null', { strategy: 'partitions', exact: undefined, recall: 0.9 } as never)
  await wrong('INVALID_OPTION', 'items', { onInvalid: 'drop', rejects: at('rejects.parquet') })
  await wrong('INVALID_OPTION', 'items', { strategy: 'partitions' })
  await wrong('INVALID_OPTION', 'items', { numPartitions: 0 })
  await wrong('MEMORY_TOO_SMALL', 'many', tooLittle)
  await wrong('COLUMN_NOT_FOUND', 'items', { itemFeaturesCol: 'vectors' })
  // Dropped instead: as here.
  const { there, here } = await both({
    queries: 'queries',
    items: 'with-null',
    options: { ...exact, onInvalid: 'drop' },
    spark: grid,
  })
  expect(there).toEqual(here)
})

describe('the command line', () => {
  const on = () => ['--engine', 'spark', '--spark', server.url]

  test('a self join into a Delta table', async () => {
    const ran = nigh([
      'join',
      at('items'),
      '--self',
      '-k',
      '4',
      '--exact',
      ...on(),
      '--out',
      `delta:${at('by-command')}`,
    ])
    expect(ran.stderr).toMatch(/2,000 queries x 2,000 items .* shuffled: exact/)
    expect(ran.code).toBe(0)
    expect(await rowsOf(at('by-command'))).toHaveLength(2000)
  })

  test('an interrupt ends the job on the cluster: no process and no file stays', async () => {
    const out = at('interrupted')
    const { child, ended } = nighStarted([
      'join',
      at('many'),
      '--self',
      '--exact',
      '-k',
      '300',
      ...on(),
      '--tasks',
      '2',
      '--out',
      out,
    ])
    const children = () => processesBelow(server.pid).filter(({ command }) => command.includes('bundle/task.js'))
    await until(() => children().length > 0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    child.kill('SIGINT')
    const { code, stderr } = await ended
    expect(code, stderr).toBe(130)
    await until(() => children().length === 0)
    expect(readdirSync(directory).filter((name) => name.includes('interrupted'))).toEqual([])
  })
})
