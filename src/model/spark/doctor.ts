// Whether nigh can work on a cluster, and what to mend where it cannot.
import { randomUUID } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Field, Schema, Utf8 } from 'apache-arrow'
import { type ConnectOptions, Spark } from '../../engine/spark/spark.ts'
import { NighError } from '../../errors.ts'

export interface Look {
  /** A file of the client. */
  probe: string | undefined
  /** Where a task puts one, its number behind it. */
  answer: string | undefined
}

/** What a task is and sees. */
export interface Seen {
  host: string
  platform: string
  node: string
  pyarrow: string
  level: string
  seesProbe: boolean | undefined
  /** The file it wrote. */
  answer: string | undefined
}

export interface Check {
  what: string
  ok: boolean
  found: string
  /** What to do about it. */
  mend?: string | undefined
}

export interface DoctorOptions extends ConnectOptions {
  /** A directory of the storage that joins will use. */
  path?: string | undefined
}

/** Looks at one thing after the other, and ends with the first that the others need. */
export async function sparkDoctor(url: string, { path, ...options }: DoctorOptions = {}): Promise<Check[]> {
  const checks: Check[] = []
  let spark: Spark
  try {
    spark = await Spark.connect(url, options)
  } catch (error) {
    const mend = 'start the Connect server (sbin/start-connect-server.sh), and look at host, port and token'
    return [failed('Spark Connect', error, mend)]
  }
  try {
    checks.push({ what: 'Spark Connect', ok: true, found: `Spark ${spark.session.version} at ${spark.session.server}` })
    try {
      const { pythonVersion, pack } = await spark.workers()
      checks.push({ what: 'Python', ok: true, found: `${pythonVersion} in the workers` })
      checks.push({ what: 'archive', ok: true, found: `${pack.folder}, ${Math.round(pack.sizeBytes / 1e6)} MB` })
    } catch (error) {
      const mend = 'Python 3.9 or newer on every node (spark.pyspark.python)'
      return [...checks, failed('Python', error, mend)]
    }
    const directory = path === undefined ? undefined : resolve(path)
    const probe = directory && join(directory, `.nigh-doctor-${randomUUID()}`)
    let seen: Seen[]
    try {
      if (probe !== undefined) writeFileSync(probe, 'nigh')
      seen = await look(spark, { probe, answer: probe && `${probe}-task` })
    } catch (error) {
      const mend =
        'pyarrow for the Python of the workers, and nodes of the same platform as the archive (nigh spark pack --node)'
      return [...checks, failed('tasks', error, mend)]
    } finally {
      if (probe !== undefined) rmSync(probe, { force: true })
    }
    const hosts = [...new Set(seen.map(({ host }) => host))]
    const told = (of: (one: Seen) => string) => [...new Set(seen.map(of))].join(', ')
    checks.push({ what: 'pyarrow', ok: true, found: told(({ pyarrow }) => pyarrow) })
    const runs = `${told(({ platform }) => platform)}, Node ${told(({ node }) => node)}, ${told(({ level }) => level)}`
    checks.push({
      what: 'tasks',
      ok: true,
      found: `${runs}; ${hosts.length} host${hosts.length === 1 ? '' : 's'} answered`,
    })
    if (directory !== undefined) checks.push(storage(directory, seen))
    return checks
  } finally {
    await spark[Symbol.asyncDispose]()
  }
}

async function look(spark: Spark, stage: Look): Promise<Seen[]> {
  const rows = await spark
    .sql('SELECT id FROM range(0, 64)')
    .stage('look', stage, new Schema([new Field('seen', new Utf8(), true)]))
    .toRows()
  return rows.map(({ seen }) => JSON.parse(String(seen)) as Seen)
}

function storage(directory: string, seen: readonly Seen[]): Check {
  const mend = 'joins need storage that this machine and all nodes have under the same path'
  const blind = seen.find(({ seesProbe }) => !seesProbe)
  const back = seen.map(({ answer }) => answer).filter((answer) => answer !== undefined)
  const lost = back.find((answer) => !existsSync(answer))
  for (const answer of back) rmSync(answer, { force: true })
  const check = (ok: boolean, found: string): Check => ({ what: 'storage', ok, found, mend: ok ? undefined : mend })
  if (blind) return check(false, `${blind.host} does not see a file of this machine in ${directory}`)
  if (back.length < seen.length) return check(false, `a task cannot write to ${directory}`)
  if (lost !== undefined) return check(false, `what a task wrote to ${directory} is not there for this machine`)
  return check(true, `${directory} is the same for this machine and the tasks`)
}

function failed(what: string, error: unknown, mend: string): Check {
  if (!(error instanceof NighError)) throw error
  return { what, ok: false, found: `${error.code}: ${error.message.split('\n', 1)[0]}`, mend }
}
