// One execution on the server, and its responses in order and once each, whatever happens to the connection.
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { ClientReadableStream } from '@grpc/grpc-js'
import { NighError } from '../../../errors.ts'
import type { Channel } from './channel.ts'
import { isServiceError, isTransient } from './errors.ts'
import type { ExecutePlanResponse, PlanSchema } from './gen/spark_pb.ts'
import { methods } from './methods.ts'

/** What every request of a session carries. */
export interface Identity {
  sessionId: string
  userContext: { userId: string; userName: string }
  clientType: string
}

export interface ExecutionOptions {
  tags: readonly string[]
  signal: AbortSignal | undefined
  /** How long to go on trying to reach a server whose connection broke. */
  reconnectMs: number
}

/** Responses that the server may forget are named each time that many came. */
const RELEASE_EVERY = 8

/**
 * Runs a plan. The execution stays on the server when the connection breaks; its responses are then asked for from the last one that came.
 * A reader that leaves early, an error or the signal ends the execution there.
 */
export async function* execute(
  channel: Channel,
  identity: Identity,
  plan: MessageInitShape<typeof PlanSchema>,
  { tags, signal, reconnectMs }: ExecutionOptions,
): AsyncGenerator<ExecutePlanResponse, void, undefined> {
  const operationId = randomUUID()
  const start = () =>
    channel.serverStream(methods.execute, {
      ...identity,
      plan,
      operationId,
      tags: [...tags],
      requestOptions: [{ reattachOptions: { reattachable: true } }],
    })
  const reattach = (lastResponseId: string | undefined) =>
    channel.serverStream(methods.reattach, { ...identity, operationId, lastResponseId })
  const release = (responseId: string | undefined) =>
    channel.unary(
      methods.release,
      {
        ...identity,
        operationId,
        release:
          responseId === undefined
            ? { case: 'releaseAll', value: {} }
            : { case: 'releaseUntil', value: { responseId } },
      },
      60_000,
    )
  // What is not released now goes with the operation, or with the session.
  const released = (responseId?: string) => release(responseId).then(ignore, ignore)

  let stream: ClientReadableStream<ExecutePlanResponse> = start()
  let last: string | undefined
  let received = 0
  let isComplete = false
  let brokenSince: number | undefined
  const onAbort = () => {
    stream.cancel()
    void interrupt(channel, identity, { case: 'operationId', value: operationId }).then(ignore, ignore)
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      try {
        for await (const response of stream as AsyncIterable<ExecutePlanResponse>) {
          brokenSince = undefined
          last = response.responseId
          if (response.responseType.case === 'resultComplete') isComplete = true
          else yield response
          if (++received % RELEASE_EVERY === 0) void released(last)
        }
        if (isComplete) return
        // The server ends a stream after some time or bytes; the execution goes on.
        stream = reattach(last)
      } catch (error) {
        if (signal?.aborted) throw error
        if (isComplete) return
        if (isUnknownOperation(error) && last === undefined) {
          // It never heard of the execution: the connection broke before.
          stream = start()
          continue
        }
        if (!isTransient(error)) throw error
        brokenSince ??= Date.now()
        if (Date.now() - brokenSince > reconnectMs) throw error
        await pause(Math.min(2000, 100 + (Date.now() - brokenSince) / 4))
        if (signal?.aborted) throw error
        stream = reattach(last)
      }
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    stream.on('error', ignore)
    stream.cancel()
    await released()
    if (signal?.aborted) {
      // biome-ignore lint/correctness/noUnsafeFinally: what a cancelled stream says is of no interest
      throw new NighError('CANCELLED', 'cancelled', { cause: signal.reason })
    }
  }
}

export async function interrupt(
  channel: Channel,
  identity: Identity,
  what: { case: 'operationId' | 'operationTag'; value: string } | undefined,
): Promise<string[]> {
  const interruptType = what === undefined ? 1 : what.case === 'operationTag' ? 2 : 3
  const { interruptedIds } = await channel.unary(
    methods.interrupt,
    { ...identity, interruptType, interrupt: what ?? { case: undefined } },
    60_000,
  )
  return interruptedIds
}

function isUnknownOperation(error: unknown): boolean {
  return isServiceError(error) && /INVALID_HANDLE\.(OPERATION_NOT_FOUND|SESSION_NOT_FOUND)/.test(error.details)
}

function ignore(): void {}
