import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const python: string = process.env.NIGH_PYTHON ?? join(root, '.venv/bin/python')

/** Spark Connect of pip's pyspark, in a process of its own. */
export interface SparkServer {
  url: string
  port: number
  pid: number
  log(): string
  stop(): Promise<void>
}

export interface ServerOptions {
  master?: string
  token?: string
  conf?: Record<string, string>
}

/** Starts a server; `directory` takes what Spark writes. */
export async function startSparkServer(directory: string, options: ServerOptions = {}): Promise<SparkServer> {
  if (spawnSync('java', ['-version']).error) throw new Error('no java: Spark needs Java 17 or newer on the PATH')
  const home = sparkHome()
  const port = await freePort()
  const conf: Record<string, string> = {
    'spark.connect.grpc.binding.port': String(port),
    'spark.driver.memory': '1g',
    'spark.driver.extraJavaOptions': '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
    'spark.driver.host': '127.0.0.1',
    'spark.driver.bindAddress': '127.0.0.1',
    'spark.ui.enabled': 'false',
    'spark.sql.shuffle.partitions': '3',
    'spark.sql.session.timeZone': 'UTC',
    'spark.sql.warehouse.dir': join(directory, 'warehouse'),
    'spark.local.dir': directory,
    'spark.pyspark.python': python,
    ...options.conf,
  }
  const args = ['--class', 'org.apache.spark.sql.connect.service.SparkConnectServer']
  args.push('--master', options.master ?? 'local[2,4]')
  for (const [name, value] of Object.entries(conf)) args.push('--conf', `${name}=${value}`)
  args.push('spark-internal')
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SPARK_HOME: home,
    PYSPARK_PYTHON: python,
    SPARK_LOCAL_IP: '127.0.0.1',
    ...(options.token === undefined ? {} : { SPARK_CONNECT_AUTHENTICATE_TOKEN: options.token }),
  }
  // It would take the place of the driver's memory.
  delete env.SPARK_DAEMON_MEMORY
  mkdirSync(directory, { recursive: true })
  const logFile = join(directory, 'server.log')
  // exec in the script: its process becomes the JVM, so that this is the one to end.
  // To a file, not through this process: a test that waits for a command would let the server wait for its log.
  const log = openSync(logFile, 'a')
  const child = spawn(join(home, 'bin/spark-submit'), args, { env, cwd: directory, stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const text = () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')
  const deadline = Date.now() + 120_000
  while (!text().includes('Spark Connect server started at')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`the Spark Connect server did not start: ${text().slice(-3000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const credentials = options.token === undefined ? '' : `/;token=${options.token}`
  return {
    url: `sc://127.0.0.1:${port}${credentials}`,
    port,
    pid: child.pid!,
    log: text,
    stop: () => stopped(child, ended),
  }
}

/** A master and its workers on this machine, all below this process. */
export interface SparkCluster {
  url: string
  stop(): Promise<void>
}

/** Starts a standalone cluster of workers of one core each. */
export async function startSparkCluster(directory: string, numWorkers: number): Promise<SparkCluster> {
  const home = sparkHome()
  mkdirSync(directory, { recursive: true })
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SPARK_HOME: home,
    SPARK_LOCAL_IP: '127.0.0.1',
    PYSPARK_PYTHON: python,
  }
  env.SPARK_DAEMON_MEMORY = '256m'
  env.SPARK_WORKER_DIR = join(directory, 'work')
  env.SPARK_LOCAL_DIRS = join(directory, 'local')
  const port = await freePort()
  const url = `spark://127.0.0.1:${port}`
  const children: { child: ChildProcess; ended: Promise<void>; log: string }[] = []
  const start = (name: string, args: string[]) => {
    const log = join(directory, `${name}.log`)
    const file = openSync(log, 'a')
    const child = spawn(join(home, 'bin/spark-class'), args, { env, cwd: directory, stdio: ['ignore', file, file] })
    closeSync(file)
    children.push({ child, ended: new Promise((resolve) => child.on('exit', () => resolve())), log })
  }
  const stop = async () => {
    await Promise.all(children.toReversed().map(({ child, ended }) => stopped(child, ended)))
  }
  const deploy = 'org.apache.spark.deploy'
  start('master', [`${deploy}.master.Master`, '--host', '127.0.0.1', '--port', String(port), '--webui-port', '0'])
  for (let i = 0; i < numWorkers; i++) {
    const size = ['--cores', '1', '--memory', '1g', '--host', '127.0.0.1', '--webui-port', '0']
    start(`worker-${i}`, [`${deploy}.worker.Worker`, ...size, url])
  }
  const isReady = () =>
    children.slice(1).every(({ log }) => readFileSync(log, 'utf8').includes('Successfully registered with master'))
  for (const deadline = Date.now() + 90_000; !isReady(); ) {
    if (Date.now() > deadline) {
      await stop()
      throw new Error(`the cluster did not start: ${readFileSync(children[0]!.log, 'utf8').slice(-3000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return { url, stop }
}

async function stopped(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(late)
}

export function sparkHome(): string {
  if (!existsSync(python)) throw new Error('no PySpark: node scripts/python-env.mjs')
  const lib = join(python, '../../lib')
  const version = readdirSync(lib).find((name) => name.startsWith('python3'))!
  return join(lib, version, 'site-packages/pyspark')
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
