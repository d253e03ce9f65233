// Indexes that the tasks of a cluster build and search, held against those of one process. One server for all.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Spark } from '../../src/engine/spark/spark.ts'
import type { SparkDataset } from '../../src/engine/spark/spark-dataset.ts'
import { BucketedRandomProjectionLSH } from '../../src/model/bucketed-random-projection-lsh.ts'
import { Cluster, Flat, Forest, Hnsw, Lsh, openIndex } from '../../src/model/index-estimators.ts'
import { SparkKnnModel } from '../../src/model/spark/models/spark-knn-model.ts'
import { shuffleKeys, sparkHash } from '../../src/model/spark/shuffle-keys.ts'
import { readTable } from '../../src/table/datasets.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'
import { python, type SparkServer, startSparkServer } from './server.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

let server: SparkServer
let spark: Spark

beforeAll(async () => {
  server = await startSparkServer(at('server'))
  spark = await Spark.connect(server.url)
  const write = (query: string, name: string) => spark.sql(query).write(at(name))
  await write(`SELECT id, ${vector(1)}, 'q' || id AS name, id % 4 AS country FROM range(0, 400, 1, 3)`, 'queries')
  await write(`SELECT id, ${vector(2)}, id % 3 AS country, 't' || id AS title FROM range(0, 2400, 1, 3)`, 'items')
  await write(`SELECT id, ${vector(3)}, id % 3 AS country, 'n' || id AS title FROM range(2000, 2800, 1, 2)`, 'newer')
})

afterAll(async () => {
  await spark?.[Symbol.asyncDispose]()
  await server?.stop()
})

const vector = (seed: number) =>
  `transform(sequence(1, 8), i -> float(pmod(hash(id, i, ${seed}), 1000) / 10)) AS vector`
const rowsOf = (name: string) => `sql:SELECT * FROM parquet.\`${at(name)}\``

interface Answer {
  id: bigint
  name: string
  neighbors: { neighbor: bigint; distance: number }[]
}

/** The rows of an answer by id. */
async function answers(dataset: SparkDataset | { toRows(): Promise<unknown[]> }): Promise<Answer[]> {
  const rows = (await dataset.toRows()) as unknown as Answer[]
  return rows.sort((a, b) => Number(a.id - b.id))
}

async function locally(items: string, queries = 'queries', k = 3): Promise<Answer[]> {
  await using index = await new Flat({ k }).fit(items)
  const table = await index.transform(at(queries))
  return answers(await readTable(table))
}

function recall(found: Answer[], truth: Answer[]): number {
  let [both, all] = [0, 0]
  for (const [i, { neighbors }] of truth.entries()) {
    const own = new Set(found[i]!.neighbors.map(({ neighbor }) => neighbor))
    both += neighbors.filter(({ neighbor }) => own.has(neighbor)).length
    all += neighbors.length
  }
  return both / all
}

const files = (name: string) => readdirSync(at(name)).filter((file) => file.startsWith('segment-'))
const leftovers = () => readdirSync(directory).filter((name) => name.includes('.nigh-change-'))

describe('fit and transform', () => {
  test('flat, by files and by rows, in one group of shards and in many: the rows of one process', async () => {
    const truth = await locally(at('items'))
    const byFiles = await new Flat({ k: 3 }).fit(at('items'), { spark, path: at('flat'), numPartitions: 5 })
    expect(byFiles).toMatchObject({ numItems: 2400, numShards: 5, dim: 8, kind: 'flat' })
    expect(files('flat')).toHaveLength(5)
    const byRows = await new Flat({ k: 3 }).fit(spark.read(at('items')), { spark, path: at('rows'), numPartitions: 2 })
    expect(byRows).toMatchObject({ numItems: 2400, numShards: 2 })
    expect(await answers(await byFiles.transform(at('queries')))).toEqual(truth)
    expect(await answers(await byFiles.transform(at('queries'), { memory: 1 }))).toEqual(truth)
    expect(await answers(await byRows.transform(rowsOf('queries')))).toEqual(truth)
    expect(await answers(await byRows.transform(rowsOf('queries'), { memory: 1 }))).toEqual(truth)
    // One process opens the same directory.
    await using opened = await openIndex(at('flat'))
    expect(await answers(await readTable(await opened.transform(at('queries'))))).toEqual(truth)
    expect(leftovers()).toEqual([])
  })

  test.each([
    ['hnsw', new Hnsw({ k: 3 })],
    ['cluster', new Cluster({ k: 3, effort: { recall: 0.9 } })],
    ['forest', new Forest({ k: 3 })],
    ['lsh', new Lsh({ k: 3, bucketLength: 40, numHashTables: 4 })],
  ] as const)('%s: the recall that was asked for, and none lost between shards', async (name, estimator) => {
    const model = await estimator.fit(at('items'), { spark, path: at(name), numPartitions: 3 })
    const asked = estimator.params.effort as { recall: number }
    const found = await answers(await model.transform(at('queries'), { memory: 1 }))
    expect(recall(found, await locally(at('items')))).toBeGreaterThan(asked.recall - 0.04)
    expect(model.efforts).toMatchObject([{ k: 3, recall: asked.recall }])
    // The same shards, asked at once by one process, give the same.
    await using opened = await openIndex(at(name))
    const { effort } = model.efforts[0]!
    const table = (await opened.search(at('queries'), { effort })).table()
    expect(found).toEqual(await answers(await readTable(table)))
  })

  test('Delta tables, as they are when the job is made', async () => {
    const items = await readTable(at('items'))
    await items.filter('id < 1500').write(at('delta'), { format: 'delta' })
    await items.filter('id >= 1500').write(at('delta'), { format: 'delta', mode: 'append' })
    const model = await new Flat({ k: 3 }).fit(at('delta'), { spark, path: at('of-delta'), numPartitions: 3 })
    expect(model).toMatchObject({ numItems: 2400, numShards: 3 })
    const near = await model.transform(`delta:${at('delta')}`)
    await items.take(5).write(at('delta'), { format: 'delta', mode: 'overwrite' })
    expect(await answers(near)).toEqual(await locally(at('items'), 'items'))
    expect(await (await model.transform(at('delta'))).count()).toBe(5)
  })

  test('two shards lose no candidate: the case of hnswlib-spark', async () => {
    const rows = 'VALUES (1, array(.1f)), (2, array(.2f)), (3, array(.05f)), (4, array(.15f))'
    await spark.sql(`SELECT col1 AS id, col2 AS vector FROM ${rows}`).repartition(1).write(at('four'))
    const model = await new Hnsw({ k: 2 }).fit(at('four'), { spark, path: at('two'), numPartitions: 2 })
    const zero = spark.sql('SELECT 0 AS id, array(0f) AS vector')
    const [{ neighbors }] = (await (await model.transform(zero, { memory: 1 })).toRows()) as unknown as [Answer]
    expect(neighbors.map(({ neighbor }) => Number(neighbor))).toEqual([3, 1])
  })

  test('columns, filters, distances and the queries own ids', async () => {
    const model = await SparkKnnModel.load(at('flat'), { spark, k: 4 })
    const options = { columns: ['title'], filter: 'country = 1', maxDistance: 60, excludeSelf: true }
    await using opened = await openIndex(at('flat'), { k: 4 })
    const table = (await opened.search(at('items'), options)).table()
    const found = await answers(await model.transform(at('items'), { ...options, memory: 1 }))
    expect(found).toEqual(await answers(await readTable(table)))
    expect(found[1]!.neighbors[0]).toMatchObject({ title: expect.stringMatching(/^t\d+$/) })
  })

  test('written, and viewed', async () => {
    const model = await SparkKnnModel.load(at('flat'), { spark, k: 3 })
    const near = await model.transform(at('queries'))
    await near.write(at('near'))
    expect(await answers(await readTable(at('near')))).toEqual(await locally(at('items')))
    await near.createTempView('near')
    const counted = spark.sql('SELECT count(*) AS n, sum(size(neighbors)) AS pairs FROM near')
    expect(await counted.toRows()).toEqual([{ n: 400n, pairs: 1200n }])
  })
})

describe('partitions', () => {
  const params = { partitionCol: 'country', queryPartitionsCol: 'country' }

  test('a query sees the items of its partition, or of those in its list', async () => {
    const model = await new Flat({ k: 3 }).fit(at('items'), { spark, path: at('parted'), ...params })
    const summary = model
      .partitionSummaries()
      .toArray()
      .map((row) => row.toJSON())
    expect(summary.sort((a, b) => a.partition - b.partition)).toEqual(
      ['0', '1', '2'].map((partition) => ({ partition, size: 800n })),
    )
    const found = await answers(await model.transform(at('queries'), { memory: 1 }))
    await using index = await new Flat({ k: 3 }).fit(at('items'))
    for (const country of [0, 1, 2]) {
      const asking = (await readTable(at('queries'))).filter(`country = ${country}`)
      const table = (await index.search(asking, { filter: `country = ${country}` })).table()
      const own = found.filter(({ id }) => Number(id) % 4 === country)
      expect(own).toEqual(await answers(await readTable(table)))
    }
    // There are no items in the last country.
    expect(found.filter(({ id }) => id % 4n === 3n).every(({ neighbors }) => neighbors.length === 0)).toBe(true)
    const lists = spark.read(at('queries')).withColumn('country', 'array(0L, 2L, 2L, 9L)')
    const both = await answers(await model.transform(lists, { k: 5 }))
    const table = (await index.search(at('queries'), { filter: 'country <> 1', k: 5 })).table()
    expect(both.map(({ neighbors }) => neighbors)).toEqual(
      (await answers(await readTable(table))).map(({ neighbors }) => neighbors),
    )
    // A query that would be dropped does not shift what the others see.
    const spoiled = spark
      .read(at('queries'))
      .withColumn('vector', 'IF(id = 5, transform(vector, x -> float("nan")), vector)')
    const dropping = await SparkKnnModel.load(at('parted'), { spark, onInvalid: 'drop' })
    await expect((await dropping.transform(spoiled)).toRows()).rejects.toMatchObject({ code: 'INVALID_VECTOR' })
    await using opened = await openIndex(at('parted'))
    await expect(opened.append(at('newer'))).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})

describe('changes', () => {
  /** What there is after the newer items came: they replace 400 of 2400. */
  const merged = async () => {
    await using index = await new Flat({ k: 3 }).fit(at('items'))
    await index.append(at('newer'))
    return answers(await readTable(await index.transform(at('queries'))))
  }

  test('append in another number of shards, replace wherever, delete, compact', async () => {
    const model = await new Flat({ k: 3 }).fit(at('items'), { spark, path: at('grown'), numPartitions: 3 })
    const old = await SparkKnnModel.load(at('grown'), { spark })
    expect(await model.append(rowsOf('newer'), { numPartitions: 2 })).toEqual({ added: 400, replaced: 400 })
    expect(model).toMatchObject({ numItems: 2800, numShards: 5 })
    expect(await answers(await model.transform(at('queries'), { memory: 1 }))).toEqual(await merged())
    // Who loaded it before has what there was, and is told when it changes that.
    expect(await answers(await old.transform(at('queries')))).toEqual(await locally(at('items')))
    await expect(old.delete([1])).rejects.toMatchObject({ code: 'INDEX_CHANGED' })
    const { neighbors } = (await merged())[7]!
    const gone = neighbors.map(({ neighbor }) => neighbor)
    expect(await model.delete([...gone, 99_999n])).toEqual({ deleted: 3 })
    expect(await model.delete(gone)).toEqual({ deleted: 0 })
    await using index = await new Flat({ k: 3 }).fit(at('items'))
    await index.append(at('newer'))
    await index.delete(gone)
    const truth = await answers(await readTable(await index.transform(at('queries'))))
    expect(await answers(await model.transform(at('queries')))).toEqual(truth)
    await model.compact({ numPartitions: 2 })
    const sizes = model
      .partitionSummaries()
      .toArray()
      .map((row) => Number(row.toJSON().size))
    expect(sizes.map((size) => Math.abs(size - 2797 / 2) < 2)).toEqual([true, true])
    const loaded = await SparkKnnModel.load(at('grown'), { spark })
    expect(await answers(await loaded.transform(at('queries')))).toEqual(truth)
    expect(loaded).toMatchObject({ numItems: 2797, numShards: 2 })
    expect(leftovers()).toEqual([])
  })

  test('append to an initial model, which stays as it is; of partitions, with their items', async () => {
    const initialModelPath = at('flat')
    const grown = await new Flat({ k: 3 }).fit(at('newer'), { spark, path: at('second'), initialModelPath })
    expect(await answers(await grown.transform(at('queries')))).toEqual(await merged())
    const first = await SparkKnnModel.load(at('flat'), { spark })
    expect(await answers(await first.transform(at('queries'), { k: 3 }))).toEqual(await locally(at('items')))
    const parted = await SparkKnnModel.load(at('parted'), { spark })
    await parted.append(at('newer'))
    expect(parted.numShards).toBe(6)
    const before = await answers(await parted.transform(at('queries'), { k: 3 }))
    await parted.compact()
    expect(parted).toMatchObject({ numShards: 3, numItems: 2800 })
    expect(await answers(await parted.transform(at('queries'), { k: 3 }))).toEqual(before)
    await expect(new Hnsw().fit(at('newer'), { spark, path: at('third'), initialModelPath })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })
})

describe('similarity joins', () => {
  const pairsOf = async (dataset: { toRows(): Promise<object[]> }) =>
    (await dataset.toRows()).map((row) => JSON.stringify(Object.values(row).map(Number))).sort()

  test.each([
    ['spark', { bucketLength: 30, numHashTables: 3 }, 40],
    ['offset', { bucketLength: 30, numHashTables: 3, hashFamily: 'offset' }, 40],
    ['cosine', { metric: 'cosine', numBits: 4, numHashTables: 3 }, 0.05],
  ] as const)('%s: the pairs of one process, each once, of buckets that are cut', async (_, params, threshold) => {
    const model = new BucketedRandomProjectionLSH({ ...params, seed: 7 }).createModel(8)
    const truth = await pairsOf(await model.approxSimilarityJoin(at('queries'), at('items'), threshold))
    expect(truth.length).toBeGreaterThan(300)
    const options = { spark, maxBucketPairs: 2000, numPartitions: 2 }
    const joined = await model.approxSimilarityJoin(at('queries'), at('items'), threshold, options)
    expect(await pairsOf(joined)).toEqual(truth)
  })

  test('buckets that are whole; a table with itself; rows of Spark', async () => {
    const model = new BucketedRandomProjectionLSH({ bucketLength: 30, numHashTables: 3 }).createModel(8)
    const truth = await pairsOf(await model.approxSimilarityJoin(at('queries'), at('items'), 40))
    const options = { spark, maxBucketPairs: Number.POSITIVE_INFINITY, numPartitions: 3 }
    const joined = await model.approxSimilarityJoin(rowsOf('queries'), rowsOf('items'), 40, options)
    expect(await pairsOf(joined)).toEqual(truth)
    const own = await pairsOf(await model.approxSelfJoin(40, { of: at('items') }))
    const self = await model.approxSelfJoin(40, { of: at('items'), spark, maxBucketPairs: 20_000, numPartitions: 3 })
    expect(await pairsOf(self)).toEqual(own)
  })

  test('ids of text, names of columns, and what is wrong', async () => {
    const model = new BucketedRandomProjectionLSH({ bucketLength: 30, numHashTables: 2 }).createModel(8)
    const named = `sql:SELECT 'q' || id AS id, vector FROM parquet.\`${at('queries')}\``
    const few = { spark, numPartitions: 2, maxBucketPairs: Number.POSITIVE_INFINITY }
    const options = { ...few, idACol: 'query', idBCol: 'item', distCol: 'far' }
    const joined = await model.approxSimilarityJoin(named, at('items'), 20, options)
    const [row] = await joined.take(1).toRows()
    expect(row).toEqual({ query: expect.stringMatching(/^q\d+$/), item: expect.any(BigInt), far: expect.any(Number) })
    await expect(model.approxSimilarityJoin(named, at('items'), Number.NaN, few)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
    const short = new BucketedRandomProjectionLSH({ bucketLength: 30 }).createModel(5)
    await expect((await short.approxSimilarityJoin(named, at('items'), 20, few)).toRows()).rejects.toMatchObject({
      code: 'DIMENSION_MISMATCH',
    })
  })
})

describe('a file of Annoy', () => {
  const annoy = (path: string, items: readonly number[]) =>
    JSON.parse(runPython('annoy_files.py', 'ask', path, 'euclidean', '8', ...items.map(String))) as {
      items: number
      trees: number
      answers: [number[], number[]][]
    }

  test('of rows that Spark has and ids of text: Annoy finds what is nearest', async () => {
    const named = `sql:SELECT 'i' || id AS id, vector FROM parquet.\`${at('items')}\``
    const options = { spark, path: at('forest.ann'), numPartitions: 3, branchItems: 300 }
    const made = await new Forest({ numTrees: 4 }).fitAnnoyFile(named, options)
    expect(made).toMatchObject({ numItems: 2400, dim: 8, ids: at('forest.ann.ids.arrow') })
    const ids = (await (await readTable(made.ids!)).toRows()).map(({ id }) => String(id))
    expect(new Set(ids).size).toBe(2400)
    // The tenth and others, by the numbers that Annoy has for them.
    const asked = [10, 500, 2399].map((id) => ids.indexOf(`i${id}`))
    const found = annoy(made.path, asked)
    expect(found).toMatchObject({ items: 2400, trees: 4 })
    const truth = await locally(at('items'), 'items', 10)
    for (const [i, id] of [10, 500, 2399].entries()) {
      const { neighbors } = truth[id]!
      expect(found.answers[i]![0].map((number) => ids[number])).toEqual(neighbors.map(({ neighbor }) => `i${neighbor}`))
    }
    await expect(new Forest().fitAnnoyFile(named, options)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  })

  test('of files, by id: the numbers of Annoy are the ids', async () => {
    const options = { spark, path: at('by-id.ann'), numPartitions: 2, byId: true }
    expect(await new Forest({ numTrees: 3 }).fitAnnoyFile(at('newer'), options)).toMatchObject({
      numItems: 2800,
      ids: undefined,
    })
    const found = annoy(at('by-id.ann'), [2000, 2799])
    expect(found).toMatchObject({ items: 2800, trees: 3 })
    const truth = await locally(at('newer'), 'newer', 10)
    expect(found.answers[0]![0]).toEqual(truth[0]!.neighbors.map(({ neighbor }) => Number(neighbor)))
    expect(found.answers[1]![0]).toEqual(truth[799]!.neighbors.map(({ neighbor }) => Number(neighbor)))
    const named = `sql:SELECT 'i' || id AS id, vector FROM parquet.\`${at('items')}\` LIMIT 9`
    const path = at('wrong.ann')
    await expect(new Forest().fitAnnoyFile(named, { ...options, path })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect(existsSync(path)).toBe(false)
    expect(leftovers()).toEqual([])
  })
})

describe('programs', () => {
  // Within the package, so that `nigh` is itself.
  const folder = join(root, '.build', `spark-${process.pid}`)
  beforeAll(() => mkdirSync(folder, { recursive: true }))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** What is wrong with the types of a program. */
  function typeErrors(code: string): unknown[] {
    const source = join(folder, 'types.ts')
    writeFileSync(source, code)
    const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile)
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
    const program = ts.createProgram([source], { ...options, composite: false, noEmit: true, declaration: false })
    return ts.getPreEmitDiagnostics(program).map(({ messageText }) => messageText)
  }

  async function ran(name: string, code: string, ...args: string[]): Promise<string> {
    // Node 20 has no `await using`.
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
    writeFileSync(join(folder, `${name}.mjs`), ts.transpileModule(code, { compilerOptions }).outputText)
    return outputOf(process.execPath, [join(folder, `${name}.mjs`), ...args], { SPARK_REMOTE: server.url })
  }

  /** Not `spawnSync`: the server waits where nobody reads what it prints. */
  async function outputOf(command: string, args: string[], more: NodeJS.ProcessEnv = {}): Promise<string> {
    const env = { ...process.env, ...more }
    const child = spawn(command, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const [printed, wrong] = [[] as string[], [] as string[]]
    child.stdout.on('data', (bytes) => printed.push(String(bytes)))
    child.stderr.on('data', (bytes) => wrong.push(String(bytes)))
    const status = await new Promise((resolve) => child.on('close', resolve))
    expect({ status, wrong: status === 0 ? '' : wrong.join('') }).toEqual({ status: 0, wrong: '' })
    return printed.join('')
  }

  test('the page for those who come from PySpark', { timeout: 180_000 }, async () => {
    runPython('docs_tables.py', folder)
    const page = readFileSync(join(root, 'docs/from-pyspark.md'), 'utf8')
    const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) => code!)
    expect(blocks.length).toBeGreaterThan(7)
    const said = [...page.matchAll(/console\.log\(.*\) \/\/ ([\d ]+)$/gm)].map(([, text]) => text!)
    expect(typeErrors(blocks.join(''))).toEqual([])
    const lines = (await ran('page', blocks.join(''))).trim().split('\n')
    // What a comment says of an output is what comes out.
    expect(lines.filter((line) => said.includes(line))).toEqual(said)
  })

  test('ALS: the best movies for each user are those of all inner products', { timeout: 180_000 }, async () => {
    await outputOf(python, [join(root, 'examples/als/train.py'), folder])
    const code = readFileSync(join(root, 'examples/als/main.ts'), 'utf8')
    expect(await ran('als', code, server.url, folder)).toContain('100 movies, 30 users')
    const factors = async (name: string) =>
      (await (await readTable(join(folder, name))).toRows()) as unknown as Factor[]
    const [users, movies] = [await factors('users'), await factors('movies')]
    const found = (await (await readTable(join(folder, 'recommendations'))).toRows()) as unknown as Recommended[]
    expect(found).toHaveLength(users.length)
    for (const { id, recommended } of found) {
      const { features } = users.find((user) => user.id === id)!
      const products = movies.map((movie) => movie.features.reduce((sum, x, i) => sum + x * features[i]!, 0))
      const best = products.sort((a, b) => b - a).slice(0, 5)
      for (const [i, { distance }] of recommended.entries()) expect(1 - distance).toBeCloseTo(best[i]!, 4)
    }
  })

  interface Factor {
    id: number
    features: number[]
  }
  interface Recommended {
    id: number
    recommended: { neighbor: number; distance: number }[]
  }
})

test('keys that Spark deals out to one partition each', async () => {
  const keys = shuffleKeys(7)
  const values = keys.map((key) => `(${key})`).join(', ')
  const rows = await spark.sql(`SELECT pmod(hash(col1), 7) AS p, hash(col1) AS h FROM VALUES ${values}`).toRows()
  expect(rows.map(({ p }) => p)).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(rows.map(({ h }) => h)).toEqual(keys.map(sparkHash))
})

describe('what goes wrong', () => {
  test('a child that is killed while it searches: the same rows', async () => {
    const model = await SparkKnnModel.load(at('flat'), { spark, k: 3 })
    const killed: number[] = []
    const timer = setInterval(() => {
      const found =
        killed.length < 2 ? childrenOf(server.pid, 'bundle/task.js').find((pid) => !killed.includes(pid)) : undefined
      if (found === undefined) return
      process.kill(found, 'SIGKILL')
      killed.push(found)
    }, 20)
    const found = await answers(await model.transform(at('queries'), { memory: 1 })).finally(() => clearInterval(timer))
    expect(killed).toHaveLength(2)
    expect(found).toEqual(await locally(at('items')))
  })

  test('a fit that is killed leaves the model at its version, and the next change clears away what it left', async () => {
    const model = await new Flat({ k: 3 }).fit(at('items'), { spark, path: at('kept'), numPartitions: 2 })
    const program = `
      import { Flat, Spark } from ${JSON.stringify(join(root, 'dist/index.js'))}
      const spark = await Spark.connect(${JSON.stringify(server.url)})
      await new Flat().fit(${JSON.stringify(at('newer'))}, { spark, path: ${JSON.stringify(at('kept'))}, overwrite: true })`
    writeFileSync(at('fit.mjs'), program)
    const child = spawn(process.execPath, [at('fit.mjs')], { stdio: 'inherit' })
    const ended = new Promise((resolve) => child.on('exit', resolve))
    // Killed when its first segment is there.
    const staged = () => leftovers().some((name) => readdirSync(at(name)).length > 0)
    for (const end = Date.now() + 60_000; !staged(); ) {
      expect(Date.now()).toBeLessThan(end)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    child.kill('SIGKILL')
    await ended
    expect(leftovers()).toHaveLength(1)
    expect(await answers(await model.transform(at('queries')))).toEqual(await locally(at('items')))
    expect(await SparkKnnModel.load(at('kept'), { spark })).toMatchObject({ numItems: 2400, numShards: 2 })
    expect(await model.delete([0])).toEqual({ deleted: 1 })
    expect(leftovers()).toEqual([])
  })

  test('bad input: one error, and nothing is left', async () => {
    const attempt = (items: string, options: object = {}, flat = new Flat()) =>
      flat.fit(items, { spark, path: at('wrong'), ...options })
    await expect(attempt(at('nowhere'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(attempt(at('items'), { numPartitions: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(attempt(at('items'), { queryPartitionsCol: 'country' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
    await expect(attempt(at('items'), { partitionCol: 'land' })).rejects.toMatchObject({ code: 'COLUMN_NOT_FOUND' })
    await expect(attempt(at('items'), {}, new Flat({ idCol: 'number' }))).rejects.toMatchObject({
      code: 'COLUMN_NOT_FOUND',
    })
    await expect(attempt(at('items'), { path: at('flat') })).rejects.toMatchObject({ code: 'INDEX_EXISTS' })
    await expect(attempt(at('items'), { path: at('items') })).rejects.toMatchObject({ code: 'NOT_AN_INDEX' })
    await expect(attempt("sql:SELECT 1 AS id, array(float('nan')) AS vector")).rejects.toMatchObject({
      code: 'INVALID_VECTOR',
    })
    const model = await SparkKnnModel.load(at('flat'), { spark })
    const short = 'sql:SELECT 1L AS id, array(1f) AS vector, 1L AS country, "x" AS title'
    await expect(model.append(short)).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
    const asText = `sql:SELECT string(id) AS id, vector, country, title FROM parquet.\`${at('items')}\` LIMIT 5`
    await expect(model.append(asText)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    await expect((await model.transform(short)).toRows()).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
    await expect(model.transform(at('queries'), { columns: ['colour'] })).rejects.toMatchObject({
      code: 'COLUMN_NOT_FOUND',
    })
    await expect(SparkKnnModel.load(at('queries'), { spark })).rejects.toMatchObject({ code: 'NOT_AN_INDEX' })
    expect(existsSync(at('wrong'))).toBe(false)
    expect(leftovers()).toEqual([])
  })

  test('no items, and no queries', async () => {
    const none = `sql:SELECT * FROM parquet.\`${at('items')}\` WHERE id < 0`
    const empty = await new Flat({ k: 3 }).fit(none, { spark, path: at('empty') })
    expect(empty).toMatchObject({ numItems: 0 })
    const found = await answers(await empty.transform(at('queries')))
    expect(found.map(({ neighbors }) => neighbors.length)).toEqual(found.map(() => 0))
    expect(await empty.append(at('newer'))).toEqual({ added: 800, replaced: 0 })
    expect(await (await empty.transform(none)).toRows()).toEqual([])
    expect(await answers(await empty.transform(at('queries')))).toEqual(await locally(at('newer')))
  })
})

/** Processes of a command, however far below another. */
function childrenOf(ancestor: number, command: string): number[] {
  const parents = new Map<number, number>()
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(command)) found.push(Number(name))
    } catch {
      // It ended meanwhile.
    }
  }
  const isBelow = (pid: number): boolean => {
    const parent = parents.get(pid)
    return parent === ancestor || (parent !== undefined && parent > 1 && isBelow(parent))
  }
  return found.filter(isBelow)
}
