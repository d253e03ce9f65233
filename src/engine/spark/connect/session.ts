import { randomUUID } from 'node:crypto'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { NighError } from '../../../errors.ts'
import { type UploadOptions, uploadArtifact } from './artifacts.ts'
import { Channel, type ChannelOptions } from './channel.ts'
import { errorInfo, fromGrpc, isServiceError, isTransient } from './errors.ts'
import { execute, type Identity, interrupt } from './execution.ts'
import type {
  AnalyzePlanRequestSchema,
  AnalyzePlanResponse,
  CommandSchema,
  DataType,
  PlanSchema,
} from './gen/spark_pb.ts'
import { WriteOperation_SaveMode as SaveMode } from './gen/spark_pb.ts'
import { methods } from './methods.ts'
import { type Relation, sqlQuery } from './relations.ts'
import { parseSparkUrl, type SparkAddress } from './url.ts'

export interface SparkOptions extends ChannelOptions {
  /** How long to try to reach the server again after a break. Default 60 s. */
  reconnectMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** How far a job is on the cluster. */
export interface SparkProgress {
  stages: { id: number; numTasks: number; completedTasks: number; done: boolean }[]
  numTasks: number
  completedTasks: number
  runningTasks: number
}

export interface ExecuteOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: SparkProgress) => void) | undefined
  /** Names by which the execution can be interrupted. */
  tags?: readonly string[] | undefined
}

export interface SaveOptions extends ExecuteOptions {
  /** Default parquet. */
  format?: string | undefined
  mode?: 'error' | 'overwrite' | 'append' | 'ignore' | undefined
  partitionBy?: readonly string[] | undefined
  options?: Record<string, string> | undefined
}

const MODES = {
  error: SaveMode.ERROR_IF_EXISTS,
  overwrite: SaveMode.OVERWRITE,
  append: SaveMode.APPEND,
  ignore: SaveMode.IGNORE,
}
const CALL_MS = 120_000
const CONNECT_MS = 20_000
const OLDEST = 4

type Command = NonNullable<MessageInitShape<typeof CommandSchema>['commandType']>
type Analysis = MessageInitShape<typeof AnalyzePlanRequestSchema>['analyze']

/** A session of a Spark Connect server. Dispose of it: its views, files and executions then end. */
export class SparkSession implements AsyncDisposable {
  readonly sessionId: string
  /** Of Spark. */
  readonly version: string
  readonly #channel: Channel
  readonly #identity: Identity
  readonly #reconnectMs: number
  readonly #artifacts = new Map<string, Promise<void>>()

  private constructor(channel: Channel, identity: Identity, version: string, reconnectMs: number) {
    this.#channel = channel
    this.#identity = identity
    this.sessionId = identity.sessionId
    this.version = version
    this.#reconnectMs = reconnectMs
  }

  /** @throws NighError SPARK_UNREACHABLE, SPARK_DENIED, SPARK_VERSION */
  static async connect(url: string, options: SparkOptions = {}): Promise<SparkSession> {
    const address = parseSparkUrl(url)
    const channel = await Channel.open(address, options)
    const identity = identityOf(address)
    try {
      const version = await versionOf(channel, identity, options)
      return new SparkSession(channel, identity, version, options.reconnectMs ?? 60_000)
    } catch (error) {
      channel.close()
      throw fromGrpc(error, channel.server)
    }
  }

  /** host:port */
  get server(): string {
    return this.#channel.server
  }

  /** Runs a statement that has effects, or a query; gives what to go on with. */
  async sql(statement: string, options: ExecuteOptions = {}): Promise<Relation> {
    const command: Command = { case: 'sqlCommand', value: { input: sqlQuery(statement) } }
    let result: Relation | undefined
    for await (const { responseType } of this.#run(commandPlan(command), options)) {
      if (responseType.case === 'sqlCommandResult') result = responseType.value.relation
    }
    if (!result) throw new NighError('SPARK_FAILED', 'Spark told no result of the statement')
    return result
  }

  /**
   * The rows of a relation, each piece an Arrow IPC stream of its own. They come as they are read: Spark waits for a slow reader.
   */
  async *ipc(relation: Relation, options: ExecuteOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const { responseType } of this.#run({ opType: { case: 'root', value: relation } }, options)) {
      if (responseType.case === 'arrowBatch') yield responseType.value.data
    }
  }

  async schema(relation: Relation): Promise<DataType> {
    const { result } = await this.#analyze({
      case: 'schema',
      value: { plan: { opType: { case: 'root', value: relation } } },
    })
    if (result.case !== 'schema' || !result.value.schema) throw new NighError('SPARK_FAILED', 'Spark told no schema')
    return result.value.schema
  }

  /** The type of `name TYPE, ...`. */
  async parseDdl(ddl: string): Promise<DataType> {
    const { result } = await this.#analyze({ case: 'ddlParse', value: { ddlString: ddl } })
    if (result.case !== 'ddlParse' || !result.value.parsed) throw new NighError('SPARK_FAILED', 'Spark told no type')
    return result.value.parsed
  }

  /** Spark's own plan of a relation, as text. */
  async explain(relation: Relation): Promise<string> {
    const { result } = await this.#analyze({
      case: 'explain',
      value: { plan: { opType: { case: 'root', value: relation } }, explainMode: 1 },
    })
    return result.case === 'explain' ? result.value.explainString : ''
  }

  async createTempView(relation: Relation, name: string, options: ExecuteOptions = {}): Promise<void> {
    const value = { input: relation, name, isGlobal: false, replace: true }
    await this.#command({ case: 'createDataframeView', value }, options)
  }

  /** Writes a relation by Spark: to a path, or `{ table }`. */
  async save(relation: Relation, to: string | { table: string }, options: SaveOptions = {}): Promise<void> {
    const { format, mode = 'error', partitionBy = [] } = options
    const saveType =
      typeof to === 'string'
        ? ({ case: 'path', value: to } as const)
        : ({ case: 'table', value: { tableName: to.table, saveMethod: 1 } } as const)
    const source = format ?? (typeof to === 'string' ? 'parquet' : undefined)
    const value = {
      input: relation,
      saveType,
      mode: MODES[mode],
      partitioningColumns: [...partitionBy],
      options: options.options ?? {},
      ...(source !== undefined && { source }),
    }
    await this.#command({ case: 'writeOperation', value }, options)
  }

  async getConfig(key: string): Promise<string | undefined> {
    const operation = { opType: { case: 'getOption' as const, value: { keys: [key] } } }
    const { pairs } = await this.#call(() =>
      this.#channel.unary(methods.config, { ...this.#identity, operation }, CALL_MS),
    )
    return pairs.find((pair) => pair.key === key)?.value
  }

  async setConfig(values: Record<string, string>): Promise<void> {
    const pairs = Object.entries(values).map(([key, value]) => ({ key, value }))
    const operation = { opType: { case: 'set' as const, value: { pairs } } }
    await this.#call(() => this.#channel.unary(methods.config, { ...this.#identity, operation }, CALL_MS))
  }

  /** Uploads a file for the tasks of this session, once a name. */
  addArtifact(name: string, path: string, options: UploadOptions = {}): Promise<void> {
    const before = this.#artifacts.get(name)
    if (before) return before
    const upload = this.#call(() => uploadArtifact(this.#channel, this.#identity, name, path, options))
    this.#artifacts.set(name, upload)
    upload.catch(() => this.#artifacts.delete(name))
    return upload
  }

  /** Ends executions: those with a tag, or all of the session. Gives their ids. */
  interrupt(tag?: string): Promise<string[]> {
    const what = tag === undefined ? undefined : { case: 'operationTag' as const, value: tag }
    return this.#call(() => interrupt(this.#channel, this.#identity, what))
  }

  async close(): Promise<void> {
    try {
      await this.#channel.unary(methods.releaseSession, this.#identity, 10_000)
    } catch {
      // The server ends sessions that nobody uses.
    } finally {
      this.#channel.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #command(commandType: Command, options: ExecuteOptions): Promise<void> {
    for await (const _ of this.#run(commandPlan(commandType), options));
  }

  async #analyze(analyze: Analysis): Promise<AnalyzePlanResponse> {
    return this.#call(() => this.#channel.unary(methods.analyze, { ...this.#identity, analyze }, CALL_MS))
  }

  async *#run(
    plan: MessageInitShape<typeof PlanSchema>,
    { signal, onProgress, tags = [] }: ExecuteOptions,
  ): ReturnType<typeof execute> {
    if (signal?.aborted) throw new NighError('CANCELLED', 'cancelled', { cause: signal.reason })
    try {
      const options = { tags, signal, reconnectMs: this.#reconnectMs }
      for await (const response of execute(this.#channel, this.#identity, plan, options)) {
        if (response.responseType.case !== 'executionProgress') yield response
        else {
          const { stages, numInflightTasks } = response.responseType.value
          onProgress?.(progressOf(stages, numInflightTasks))
        }
      }
    } catch (error) {
      throw await this.#explained(error)
    }
  }

  /** A call that is made again where the connection broke: the server may have restarted its end of it. */
  async #call<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt < 3 && isTransient(error)) {
          await new Promise((resolve) => setTimeout(resolve, 100 * 3 ** attempt))
          continue
        }
        throw await this.#explained(error)
      }
    }
  }

  /** An error with the text of its cause, which the server is asked for. */
  async #explained(error: unknown): Promise<unknown> {
    if (!isServiceError(error)) return error
    const { errorId } = errorInfo(error)
    if (errorId === undefined) return fromGrpc(error, this.server)
    try {
      const details = await this.#channel.unary(methods.errorDetails, { ...this.#identity, errorId }, CONNECT_MS)
      return fromGrpc(error, this.server, details)
    } catch {
      return fromGrpc(error, this.server)
    }
  }
}

function commandPlan(commandType: Command): MessageInitShape<typeof PlanSchema> {
  return { opType: { case: 'command', value: { commandType } } }
}

function identityOf({ userId, sessionId, userAgent }: SparkAddress): Identity {
  return {
    sessionId: sessionId ?? randomUUID(),
    userContext: { userId, userName: userId },
    clientType: userAgent ?? 'nigh',
  }
}

async function versionOf(channel: Channel, identity: Identity, options: SparkOptions): Promise<string> {
  const { result } = await channel.unary(
    methods.analyze,
    { ...identity, analyze: { case: 'sparkVersion', value: {} } },
    options.connectTimeoutMs ?? CONNECT_MS,
  )
  const version = result.case === 'sparkVersion' ? result.value.version : ''
  if (Number.parseInt(version, 10) >= OLDEST) return version
  throw new NighError(
    'SPARK_VERSION',
    `${channel.server} is Spark ${version || '?'}; nigh needs Spark ${OLDEST}.0 or newer`,
  )
}

interface StageInfo {
  stageId: bigint
  numTasks: bigint
  numCompletedTasks: bigint
  done: boolean
}

function progressOf(infos: readonly StageInfo[], running: bigint): SparkProgress {
  const stages = infos.map(({ stageId, numTasks, numCompletedTasks, done }) => ({
    id: Number(stageId),
    numTasks: Number(numTasks),
    completedTasks: Number(numCompletedTasks),
    done,
  }))
  const sum = (of: (stage: (typeof stages)[number]) => number) => stages.reduce((total, stage) => total + of(stage), 0)
  return {
    stages,
    numTasks: sum(({ numTasks }) => numTasks),
    completedTasks: sum(({ completedTasks }) => completedTasks),
    runningTasks: Number(running),
  }
}
