// nigh in the tasks of a session: what they need is found out and sent once.
import type { Schema } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { schemaToIpc } from '../../table/ipc.ts'
import { schemaToDdl, sparkSchema } from './arrow-types.ts'
import { mapInArrow, type PythonFunction, type Relation, range } from './connect/relations.ts'
import type { SparkSession } from './connect/session.ts'
import { fieldsOf, schemaJson } from './connect/types.ts'
import { type Pack, packWorker } from './pack.ts'
import { pickledFunction } from './pickle.ts'
import { shimExpression, shimPayload } from './shim.ts'
import type { Task } from './task/task.ts'

export interface WorkersOptions {
  /** An archive that `nigh spark pack` made. Default: one for this machine's kind. */
  pack?: Pack | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((sent: { done: number; total: number }) => void) | undefined
}

export interface Workers {
  pythonVersion: string
  pack: Pack
}

const ready = new WeakMap<SparkSession, Promise<Workers>>()

/** Sends the archive, and learns which Python the cluster has. Once a session. */
export function workersOf(session: SparkSession, options: WorkersOptions = {}): Promise<Workers> {
  let workers = ready.get(session)
  if (!workers) {
    workers = prepare(session, options)
    ready.set(session, workers)
    workers.catch(() => ready.delete(session))
  }
  return workers
}

async function prepare(session: SparkSession, options: WorkersOptions): Promise<Workers> {
  const pack = options.pack ?? (await packWorker())
  // Not at once: a task that starts while a local server unpacks the archive unpacks it too, in the same place.
  const pythonVersion = await probePython(session, options.signal)
  await session.addArtifact(`archives/${pack.folder}.tar.gz#${pack.folder}`, pack.path, options)
  return { pythonVersion, pack }
}

/** Tasks of the same work over each partition of a relation, giving tables of a schema. */
export async function taskRelation(
  session: SparkSession,
  { pythonVersion, pack }: Workers,
  input: Relation,
  task: Task,
  schema: Schema,
): Promise<Relation> {
  const inSpark = sparkSchema(schema)
  const ddl = schemaToDdl(inSpark)
  const [type, inputType] = await Promise.all([session.parseDdl(ddl), session.schema(input)])
  const columns = fieldsOf(inputType).map(({ name }) => name)
  const payload = shimPayload(pack.folder, schemaToIpc(inSpark), Buffer.from(JSON.stringify(task)))
  const command = pickledFunction(shimExpression(), payload, schemaJson(type))
  return mapInArrow(input, { name: 'nigh', command, schema: ddl, pythonVersion, columns })
}

/**
 * The Python of the cluster's workers, as `3.11`. Only they know, and they tell when they are asked to run a function of another one.
 */
export async function probePython(session: SparkSession, signal?: AbortSignal): Promise<string> {
  const nothing: PythonFunction = {
    name: 'probe',
    command: pickledFunction('lambda payload, batches: batches', new Uint8Array(), '{"type":"struct","fields":[]}'),
    schema: 'id bigint',
    pythonVersion: '0.0',
    columns: ['id'],
  }
  try {
    for await (const _ of session.ipc(mapInArrow(range(0, 1, 1), nothing), { signal }));
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const version = /PYTHON_VERSION_MISMATCH[^\d]*(\d+\.\d+)/.exec(message)?.[1]
    if (version !== undefined) return version
    if (/pyarrow|PyArrow/.test(message)) throw new NighError('SPARK_WORKER', noPyarrow(message), { cause: error })
    throw error
  }
  throw new NighError('SPARK_WORKER', 'the Python workers of the cluster do not tell their version')
}

function noPyarrow(message: string): string {
  return `the Python of the cluster's workers has no pyarrow that serves: ${message.split('\n', 1)[0]}`
}
