// A standalone cluster of a master and two workers, and a join one of whose executors is killed.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Spark } from '../../src/engine/spark/spark.ts'
import { selfJoin } from '../../src/model/knn-join.ts'
import { sparkSelfJoin } from '../../src/model/spark/join.ts'
import { readTable } from '../../src/table/datasets.ts'
import { temporaryDirectory } from '../support/run.ts'
import { processesBelow, until } from './processes.ts'
import { type SparkCluster, type SparkServer, startSparkCluster, startSparkServer } from './server.ts'

const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

let cluster: SparkCluster
let server: SparkServer
let spark: Spark

beforeAll(async () => {
  cluster = await startSparkCluster(at('cluster'), 2)
  server = await startSparkServer(at('server'), {
    master: cluster.url,
    conf: { 'spark.executor.memory': '512m', 'spark.executor.cores': '1', 'spark.cores.max': '2' },
  })
  spark = await Spark.connect(server.url)
}, 180_000)

afterAll(async () => {
  await spark?.[Symbol.asyncDispose]()
  await server?.stop()
  await cluster?.stop()
}, 60_000)

test('an executor that is killed while its task searches: every row once, with the neighbors of the local engine', async () => {
  const vector = 'transform(sequence(1, 16), i -> float(pmod(hash(id, i), 1000) / 10)) AS vector'
  await spark.sql(`SELECT id, ${vector} FROM range(0, 20000, 1, 4)`).write(at('items'))
  const options = { k: 10, exact: true }
  const joining = sparkSelfJoin(spark, at('items'), { ...options, to: at('there'), numTasks: 2, numPartitions: 2 })
  const searching = () => processesBelow(process.pid).filter(({ command }) => command.includes('bundle/task.js'))
  await until(() => searching().length > 0, 60_000)
  const executors = processesBelow(process.pid).filter(({ command }) =>
    command.includes('CoarseGrainedExecutorBackend'),
  )
  const [node] = searching()
  const busy = executors.find(({ pid }) => processesBelow(pid).some((child) => child.pid === node!.pid))!
  process.kill(busy.pid, 'SIGKILL')
  await joining
  expect(server.log()).toMatch(/Lost executor|ExecutorLostFailure/)
  await selfJoin(at('items'), { ...options, to: at('here.parquet') })
  const rows = async (path: string) => (await readTable(path)).toRows()
  expect(await rows(at('there'))).toEqual(await rows(at('here.parquet')))
}, 180_000)
