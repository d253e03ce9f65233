// Files for the tasks of a session. They go in chunks, each with its checksum.
import { open, stat } from 'node:fs/promises'
import zlib from 'node:zlib'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { NighError } from '../../../errors.ts'
import type { Channel } from './channel.ts'
import type { Identity } from './execution.ts'
import type { AddArtifactsRequestSchema } from './gen/spark_pb.ts'
import { methods } from './methods.ts'

const CHUNK_BYTES = 1 << 20

type Request = MessageInitShape<typeof AddArtifactsRequestSchema>

export interface UploadOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((sent: { done: number; total: number }) => void) | undefined
}

/**
 * Uploads a file under a name of Spark's: `archives/x.tar.gz#dir` is unpacked as `dir` where each task runs, `files/x` lies there. What
 * a session has under a name stays: upload other contents under another one.
 */
export async function uploadArtifact(
  channel: Channel,
  identity: Identity,
  name: string,
  path: string,
  options: UploadOptions = {},
): Promise<void> {
  const answer = await channel.clientStream(methods.addArtifacts, chunks(identity, name, path, options))
  const failed = answer.artifacts.find(({ isCrcSuccessful }) => !isCrcSuccessful)
  if (failed) throw new NighError('SPARK_FAILED', `${failed.name} arrived damaged at the Spark Connect server`)
}

async function* chunks(
  identity: Identity,
  name: string,
  path: string,
  { signal, onProgress }: UploadOptions,
): AsyncGenerator<Request> {
  const { size } = await stat(path)
  const file = await open(path)
  try {
    const numChunks = Math.max(1, Math.ceil(size / CHUNK_BYTES))
    for (let chunk = 0; chunk < numChunks; chunk++) {
      if (signal?.aborted) throw new NighError('CANCELLED', 'cancelled', { cause: signal.reason })
      const data = new Uint8Array(Math.min(CHUNK_BYTES, size - chunk * CHUNK_BYTES))
      const { bytesRead } = await file.read(data, 0, data.length, chunk * CHUNK_BYTES)
      if (bytesRead !== data.length) throw new NighError('FILE_UNREADABLE', `${path} changed while it was read`)
      const piece = { data, crc: BigInt(zlib.crc32(data)) }
      onProgress?.({ done: chunk * CHUNK_BYTES + data.length, total: size })
      if (chunk > 0) yield { ...identity, payload: { case: 'chunk', value: piece } }
      else if (numChunks === 1)
        yield { ...identity, payload: { case: 'batch', value: { artifacts: [{ name, data: piece }] } } }
      else {
        const value = { name, totalBytes: BigInt(size), numChunks: BigInt(numChunks), initialChunk: piece }
        yield { ...identity, payload: { case: 'beginChunk', value } }
      }
    }
  } finally {
    await file.close()
  }
}
