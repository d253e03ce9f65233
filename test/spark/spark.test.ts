// One server for everything that needs one: it takes longer to start than most of it to run.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Field, FixedSizeList, Float32, Float64, Int64, List, Schema, Table, vectorFromArray } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { localRelation, range, repartitionBy, sort, sqlQuery, union } from '../../src/engine/spark/connect/relations.ts'
import { SparkSession } from '../../src/engine/spark/connect/session.ts'
import { fieldsOf, schemaDdl } from '../../src/engine/spark/connect/types.ts'
import { Spark } from '../../src/engine/spark/spark.ts'
import { knnJoin } from '../../src/model/knn-join.ts'
import { sparkDoctor } from '../../src/model/spark/doctor.ts'
import { sparkJoin } from '../../src/model/spark/join.ts'
import { fromTables, readTable } from '../../src/table/datasets.ts'
import { tableFromIpc, tableToIpc } from '../../src/table/ipc.ts'
import { workerFunction } from '../../src/table/workers/worker-function.ts'
import { nigh, temporaryDirectory } from '../support/run.ts'
import { startProxy } from './proxy.ts'
import { freePort, type SparkServer, startSparkServer } from './server.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)
const functions = fileURLToPath(new URL('../fixtures/spark-functions.mjs', import.meta.url))
const fn = (name: string) => workerFunction(functions, name)
const TOKEN = 'a-token-of-the-test'

let server: SparkServer
let spark: Spark

beforeAll(async () => {
  server = await startSparkServer(at('server'), { token: TOKEN })
  spark = await Spark.connect(server.url)
})

afterAll(async () => {
  await spark?.[Symbol.asyncDispose]()
  await server?.stop()
})

async function idsOf(session: SparkSession, relation: Parameters<SparkSession['ipc']>[0]): Promise<number[]> {
  const ids: number[] = []
  for await (const ipc of session.ipc(relation)) ids.push(...[...tableFromIpc(ipc).getChild('id')!].map(Number))
  return ids
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i)

async function until(what: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !what(); ) {
    if (Date.now() > end) throw new Error('it did not come about in time')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('the Connect client', () => {
  test('refuses what is no server, and is refused with a wrong token', async () => {
    const port = await freePort()
    await expect(SparkSession.connect(`sc://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'SPARK_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    })
    for (const end of ['', '/;token=another']) {
      await expect(SparkSession.connect(`sc://127.0.0.1:${server.port}${end}`)).rejects.toMatchObject({
        code: 'SPARK_DENIED',
      })
    }
  })

  test('tells the schema, and streams rows in order', async () => {
    const query = sqlQuery(
      "SELECT id, array(float(id)) AS vector, named_struct('a', date'2020-01-02') AS s FROM range(5)",
    )
    const schema = await spark.session.schema(query)
    expect(schemaDdl(fieldsOf(schema))).toBe(
      '`id` bigint NOT NULL, `vector` array<float> NOT NULL, `s` struct<`a`:date NOT NULL> NOT NULL',
    )
    expect(await idsOf(spark.session, query)).toEqual(upTo(5))
    const both = union(range(0, 3), range(3, 6))
    expect(await idsOf(spark.session, sort(both, [{ expression: '-id' }], true))).toEqual(upTo(6).reverse())
  })

  test('sends rows as Arrow', async () => {
    const table = new Table({ id: vectorFromArray([3n, 1n, 2n], new Int64()) })
    expect(await idsOf(spark.session, repartitionBy(localRelation(tableToIpc(table)), ['id'], 1))).toEqual([3, 1, 2])
  })

  test('tells the text of the cause', async () => {
    const session = spark.session
    await expect(session.schema(sqlQuery('SELECT nope FROM range(3)'))).rejects.toMatchObject({
      code: 'SPARK_FAILED',
      message: expect.stringContaining('nope'),
    })
    const raising = session.ipc(sqlQuery("SELECT raise_error('because ' || id) FROM range(3, 4)"))
    await expect(raising.next()).rejects.toMatchObject({ message: expect.stringContaining('because 3') })
  })

  test('sets what can be set, makes views, writes and reads', async () => {
    await spark.session.setConfig({ 'spark.sql.shuffle.partitions': '2' })
    expect(await spark.session.getConfig('spark.sql.shuffle.partitions')).toBe('2')
    await spark.session.createTempView(range(0, 7), 'seven')
    expect(await spark.table('seven').count()).toBe(7)
    await spark.session.save(range(0, 7), at('seven.parquet'), { mode: 'error' })
    await expect(spark.session.save(range(0, 7), at('seven.parquet'))).rejects.toMatchObject({ code: 'SPARK_FAILED' })
    expect(await (await readTable(at('seven.parquet'))).count()).toBe(7)
    expect(await spark.read(at('seven.parquet')).filter('id >= 5').toRows()).toEqual([{ id: 5n }, { id: 6n }])
  })

  test('reports progress, and a signal or a tag ends a job', async () => {
    const long = 'SELECT count(*) FROM range(0, 1000000000000, 1, 4)'
    const controller = new AbortController()
    const seen: number[] = []
    const onProgress = ({ numTasks }: { numTasks: number }) => {
      seen.push(numTasks)
      if (numTasks > 0) controller.abort()
    }
    await expect(
      spark.session.ipc(sqlQuery(long), { signal: controller.signal, onProgress }).next(),
    ).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(Math.max(...seen)).toBeGreaterThanOrEqual(4)
    let running = 0
    const watch = { tags: ['mine'], onProgress: (now: { runningTasks: number }) => (running = now.runningTasks) }
    const tagged = spark.session.ipc(sqlQuery(long), watch).next()
    const ended = expect(tagged).rejects.toMatchObject({ code: 'CANCELLED' })
    await until(() => running > 0)
    expect(await spark.session.interrupt('another')).toEqual([])
    expect(await spark.session.interrupt('mine')).toHaveLength(1)
    await ended
  })

  test('a connection that breaks is taken up again: every row once', async () => {
    const proxy = await startProxy(server.port)
    const session = await SparkSession.connect(`sc://127.0.0.1:${proxy.port}/;token=${TOKEN}`)
    try {
      const ids: number[] = []
      let cuts = 0
      for await (const ipc of session.ipc(range(0, 400_000, 8))) {
        ids.push(...[...tableFromIpc(ipc).getChild('id')!].map(Number))
        if (cuts < 3 && ids.length > cuts * 100_000) cuts += proxy.cut() > 0 ? 1 : 0
      }
      expect(cuts).toBe(3)
      expect(ids).toEqual(upTo(400_000))
      proxy.cut()
      expect(await idsOf(session, range(0, 3))).toEqual([0, 1, 2])
    } finally {
      await session.close()
      proxy.close()
    }
  })
})

describe('functions in tasks', () => {
  const noted = (path: string, end = 12, partitions = 3) =>
    spark.sql(`SELECT id, '${path}' AS note FROM range(0, ${end}, 1, ${partitions})`)

  test('map over the tables of each partition, empty ones left out', async () => {
    const mapped = spark.sql('SELECT id FROM range(0, 9, 1, 3) WHERE id < 3 OR id > 5').map(fn('twice'))
    expect((await mapped.toRows()).map(({ twice }) => twice)).toEqual([0, 2, 4, 12, 14, 16])
    expect(await mapped.count()).toBe(6)
    expect(await mapped.filter('twice > 12').select(['twice']).toRows()).toEqual([{ twice: 14 }, { twice: 16 }])
    const none = spark.sql('SELECT id FROM range(9) WHERE id < 0')
    await expect(none.map(fn('twice')).toRows()).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' })
    const schema = new Schema([new Field('id', new Int64()), new Field('twice', new Float64())])
    expect(await none.map(fn('twice'), { schema }).toRows()).toEqual([])
  })

  test('maxRecordsPerTable', async () => {
    const rows = async (maxRecordsPerTable?: number) => {
      const all = spark.sql('SELECT id FROM range(0, 25000, 1, 1)', { maxRecordsPerTable })
      return (await all.map(fn('sizes')).toRows()).map((row) => row.rows)
    }
    expect(await rows()).toEqual([25_000])
    expect(await rows(7000)).toEqual([7000, 7000, 7000, 4000])
  })

  test('groupBy: each key once, with all of its rows', async () => {
    const groups = spark.sql('SELECT id, id % 3 AS rest FROM range(0, 100, 1, 4)').groupBy('rest').map(fn('sums'))
    const rows = (await groups.toRows()).sort((a, b) => Number(a.key) - Number(b.key))
    expect(rows).toEqual([
      { key: '0', sum: 1683 },
      { key: '1', sum: 1617 },
      { key: '2', sum: 1650 },
    ])
  })

  test('a dataset of this process, written from the cluster, and a view', async () => {
    const vectors = new FixedSizeList(2, new Field('item', new Float32()))
    const table = new Table({ id: vectorFromArray([1n, 2n], new Int64()), v: vectorFromArray([[1, 2], null], vectors) })
    const there = fromTables([table]).on(spark)
    expect(await there.toRows()).toEqual([
      { id: 1n, v: [1, 2] },
      { id: 2n, v: null },
    ])
    expect((await there.schema()).fields[1]!.type).toBeInstanceOf(List)
    await there.map(fn('twice')).write(at('twice.parquet'))
    expect(await (await readTable(at('twice.parquet'))).toRows()).toEqual([
      { id: 1n, twice: 2 },
      { id: 2n, twice: 4 },
    ])
    await there.map(fn('twice')).createTempView('twice_as_much')
    expect(await spark.sql('SELECT sum(twice) AS s FROM twice_as_much').toRows()).toEqual([{ s: 6 }])
  })

  test('what a function throws comes back, and is not tried again', async () => {
    const note = at('refused')
    await expect(
      noted(note)
        .map(fn('refusesFive'), { schema: new Schema([new Field('id', new Int64())]) })
        .toRows(),
    ).rejects.toMatchObject({
      code: 'FUNCTION_FAILED',
      message: expect.stringContaining('five is out'),
    })
    expect(readFileSync(note, 'utf8')).toBe('tried\n')
    const writing = noted(note).map(fn('refusesFive')).write(at('refused.parquet'))
    await expect(writing).rejects.toMatchObject({ code: 'FUNCTION_FAILED' })
    expect(existsSync(at('refused.parquet/_SUCCESS'))).toBe(false)
    await expect(noted(note).map(fn('missing')).toRows()).rejects.toMatchObject({
      code: 'FUNCTION_FAILED',
      message: expect.stringContaining('no function named "missing"'),
    })
    const nowhere = noted(note).map(workerFunction(at('nowhere.mjs'), 'f'))
    await expect(nowhere.toRows()).rejects.toMatchObject({ code: 'FUNCTION_FAILED' })
  })

  test('a child that is killed is started again by Spark, and no row is lost or twice', async () => {
    const note = at('killed')
    const schema = new Schema([new Field('id', new Int64()), new Field('twice', new Float64())])
    const rows = await noted(note).map(fn('killedOnce'), { schema }).toRows()
    expect(isRunning(Number(readFileSync(note, 'utf8')))).toBe(false)
    expect(rows.map(({ twice }) => twice)).toEqual(upTo(12).map((id) => 2 * id))
  })

  test('a job that is cancelled leaves no process behind', async () => {
    const note = at('endless')
    const controller = new AbortController()
    const schema = new Schema([new Field('id', new Int64())])
    const rows = noted(note, 12, 2).map(fn('endless'), { schema }).toRows({ signal: controller.signal })
    const ended = expect(rows).rejects.toMatchObject({ code: 'CANCELLED' })
    const pids = () => (existsSync(note) ? readFileSync(note, 'utf8').trim().split('\n').map(Number) : [])
    await until(() => pids().length === 2)
    expect(pids().every(isRunning)).toBe(true)
    controller.abort()
    await ended
    await until(() => !pids().some(isRunning), 10_000)
  })
})

describe('joins', () => {
  const vector = (seed: number) =>
    `transform(sequence(1, 8), i -> float(pmod(hash(id, i, ${seed}), 1000) / 10)) AS vector`
  const asRows = async (path: string) => (await readTable(path)).toRows()

  beforeAll(async () => {
    const write = (query: string, name: string) => spark.sql(query).write(at(name))
    await write(`SELECT id, ${vector(1)}, 'q' || id AS name FROM range(0, 600, 1, 5)`, 'queries')
    await write(`SELECT 'i' || id AS id, ${vector(2)}, id % 7 AS kind FROM range(0, 3000, 1, 3)`, 'items')
    await write(`SELECT id, ${vector(1)} FROM range(0, 20000, 1, 2)`, 'many-queries')
    await write(`SELECT id, ${vector(2)} FROM range(0, 60000, 1, 2)`, 'many-items')
  })

  test.each(['l2', 'cosine', 'dot'] as const)('exact, %s: the rows of the local engine', async (metric) => {
    const options = { k: 4, metric, exact: true, columns: ['kind'], queryColumns: ['name'] }
    const report = await sparkJoin(spark, at('queries'), at('items'), { ...options, to: at(`near-${metric}`) })
    expect(report).toMatchObject({ method: 'exact', rows: { queries: 600, items: 3000, neighbors: 2400 }, numTasks: 2 })
    await knnJoin(at('queries'), at('items'), { ...options, to: at(`near-${metric}.parquet`) })
    expect(await asRows(at(`near-${metric}`))).toEqual(await asRows(at(`near-${metric}.parquet`)))
    expect(readdirSync(directory).filter((name) => name.includes('.nigh-'))).toEqual([])
  })

  test('at a recall: what is told holds against the exact neighbors', async () => {
    const options = { k: 10, recall: 0.9, layout: 'long' as const }
    const to = at('approximate')
    const report = await sparkJoin(spark, at('many-queries'), at('many-items'), { ...options, to, numTasks: 2 })
    expect(report.method).not.toBe('exact')
    await knnJoin(at('many-queries'), at('many-items'), {
      ...options,
      exact: true,
      recall: undefined,
      to: at('truth.parquet'),
    })
    // One number a pair: ids are below 2^20.
    const pairs = async (path: string) =>
      new Set((await asRows(path)).map((row) => Number(row.query_id) * 2 ** 20 + Number(row.neighbor_id)))
    const [found, truth] = [await pairs(to), await pairs(at('truth.parquet'))]
    expect(truth.size).toBe(200_000)
    const recall = [...truth].filter((pair) => found.has(pair)).length / truth.size
    // The interval is one of 95 %: twice its width is none that chance leaves.
    const { low, high, estimate } = report.recall
    expect(recall).toBeGreaterThan(estimate - 2 * (estimate - low) - 0.005)
    expect(recall).toBeLessThan(estimate + 2 * (high - estimate) + 0.005)
    expect(recall).toBeGreaterThan(0.88)
  })

  test('of queries in SQL; an output that is there is kept, or replaced', async () => {
    const queries = `sql:SELECT id, vector FROM parquet.\`${at('queries')}\` WHERE id >= 590`
    const options = { k: 2, exact: true, to: at('sql') }
    expect((await sparkJoin(spark, queries, at('items'), options)).rows.queries).toBe(10)
    const before = await asRows(at('sql'))
    expect(before.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(upTo(600).slice(590))
    await expect(sparkJoin(spark, queries, at('items'), options)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    const none = `sql:SELECT id, vector FROM parquet.\`${at('queries')}\` WHERE id < 0`
    await sparkJoin(spark, none, at('items'), { ...options, mode: 'overwrite' })
    expect(await asRows(at('sql'))).toEqual([])
  })

  test('what is wrong is told as one error, and nothing is left', async () => {
    const wrong = async (code: string, items: string, options = {}) => {
      const joining = sparkJoin(spark, at('queries'), items, { exact: true, to: at('wrong'), ...options })
      await expect(joining).rejects.toMatchObject({ code })
      expect(readdirSync(directory).filter((name) => /wrong/.test(name))).toEqual([])
    }
    await wrong('FILE_NOT_FOUND', at('nowhere'))
    await wrong('COLUMN_NOT_FOUND', at('items'), { queryIdCol: 'number' })
    await wrong('COLUMN_NOT_FOUND', at('items'), { columns: ['colour'] })
    await wrong('INVALID_OPTION', at('items'), { k: 0 })
    await spark.sql('SELECT id, array(float(1)) AS vector FROM range(5)').write(at('short'))
    await wrong('DIMENSION_MISMATCH', at('short'))
  })

  test('the doctor, and the command line', async () => {
    const checks = await sparkDoctor(server.url, { path: directory })
    expect(checks.map(({ what, ok }) => [what, ok])).toEqual(
      ['Spark Connect', 'Python', 'archive', 'pyarrow', 'tasks', 'storage'].map((what) => [what, true]),
    )
    const [refused, ...rest] = await sparkDoctor(`sc://127.0.0.1:${server.port}/;token=x`)
    expect(refused).toMatchObject({ ok: false, found: expect.stringContaining('SPARK_DENIED') })
    expect(rest).toEqual([])
    expect(readdirSync(directory).filter((name) => name.includes('doctor'))).toEqual([])
    const args = ['join', at('queries'), at('items'), '-k', '4', '--exact', '--engine', 'spark', '--spark', server.url]
    const ran = nigh([...args, '--out', at('by-command'), '--report', at('report.json')])
    expect(ran.stderr).toContain('600 queries x 3,000 items in 2 tasks: exact')
    expect(ran.code).toBe(0)
    expect(await (await readTable(at('by-command'))).count()).toBe(600)
    expect(JSON.parse(readFileSync(at('report.json'), 'utf8'))).toMatchObject({ rows: { neighbors: 2400 } })
    expect(nigh([...args.slice(0, 6), '--spark', server.url, '--out', at('x')])).toMatchObject({ code: 2 })
  })
})
