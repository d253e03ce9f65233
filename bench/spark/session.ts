// The process of session.py: Spark, the rivals and the judge.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bench, root } from '../run/paths.ts'

export type Answer = Record<string, number>

export interface Session {
  url: string
  version: string
  /** Throws what went wrong there, or that it took longer than the limit. The session is over after that limit. */
  ask(op: string, task: object, limitSeconds?: number): Promise<Answer>
  stop(): Promise<void>
}

const START_SECONDS = 120

/** pip's pyspark of the tests, which has Annoy as well. */
const python = join(root, '.venv', 'bin', 'python')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Ends it with the JVM and its workers: all are in its process group. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  process.kill(-child.pid!, 'SIGKILL')
  await ended
}

export async function startSession(directory: string, memory: string): Promise<Session> {
  if (!existsSync(python)) throw new Error('no PySpark: node scripts/python-env.mjs')
  mkdirSync(directory, { recursive: true })
  const port = await freePort()
  const logFile = join(directory, 'spark.log')
  const log = openSync(logFile, 'w')
  const env = { ...process.env, PYSPARK_PYTHON: python, SPARK_LOCAL_IP: '127.0.0.1', PYTHONDONTWRITEBYTECODE: '1' }
  delete (env as NodeJS.ProcessEnv).SPARK_REMOTE
  const script = join(bench, 'spark', 'session.py')
  const child = spawn(python, [script, `${port}`, directory, memory], {
    env,
    cwd: directory,
    detached: true,
    stdio: ['pipe', 'pipe', log],
  })
  closeSync(log)
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const answer = async (limitSeconds: number): Promise<Record<string, unknown>> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, limitSeconds * 1e3, undefined)
    })
    const first = await Promise.race([lines.next(), late])
    clearTimeout(timer)
    if (first === undefined) {
      await end(child)
      throw new Error(`over the limit of ${limitSeconds} s`)
    }
    if (first.done) throw new Error(`the session ended: ${readFileSync(logFile, 'utf8').slice(-1000)}`)
    return JSON.parse(first.value)
  }
  const { spark } = await answer(START_SECONDS)
  return {
    url: `sc://127.0.0.1:${port}`,
    version: String(spark),
    async ask(op, task, limitSeconds = 3600) {
      child.stdin!.write(`${JSON.stringify({ op, ...task })}\n`)
      const { error, took: _, ...rest } = await answer(limitSeconds)
      if (error !== undefined) throw new Error(String(error))
      return rest as Answer
    },
    stop: () => end(child),
  }
}
