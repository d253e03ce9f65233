// Calls of the SparkConnectService over grpc-js, with messages of gen/.
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { Client, ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js'
import type { SparkAddress } from './url.ts'

const SERVICE = '/spark.connect.SparkConnectService/'

export interface Method<I extends DescMessage, O extends DescMessage> {
  name: string
  input: I
  output: O
}

export interface ChannelOptions {
  /** Certificates of the authorities to be trusted, PEM. Default: Node's. */
  ca?: string | Uint8Array | undefined
  connectTimeoutMs?: number | undefined
}

export class Channel {
  readonly server: string
  readonly #client: Client
  readonly #metadata: Metadata

  private constructor(
    { Client, credentials, Metadata }: typeof import('@grpc/grpc-js'),
    address: SparkAddress,
    { ca }: ChannelOptions,
  ) {
    this.server = `${address.host}:${address.port}`
    this.#metadata = new Metadata()
    if (address.token !== undefined) this.#metadata.set('authorization', `Bearer ${address.token}`)
    for (const [name, value] of Object.entries(address.headers)) this.#metadata.set(name.toLowerCase(), value)
    const safe = () => credentials.createSsl(ca === undefined ? null : Buffer.from(ca as Uint8Array))
    this.#client = new Client(this.server, address.ssl ? safe() : credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 60_000,
      'grpc.primary_user_agent': address.userAgent ?? 'nigh',
      'grpc.enable_http_proxy': 0,
      // After a break the next call is to find out at once, not at the end of a long pause.
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2000,
    })
  }

  /** gRPC is loaded by the first channel: all that imports nigh would pay for it otherwise. */
  static async open(address: SparkAddress, options: ChannelOptions): Promise<Channel> {
    return new Channel(await import('@grpc/grpc-js'), address, options)
  }

  unary<I extends DescMessage, O extends DescMessage>(
    { name, input, output }: Method<I, O>,
    message: MessageInitShape<I>,
    timeoutMs: number,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        SERVICE + name,
        serializing(input),
        deserializing(output),
        create(input, message),
        this.#metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => (error ? reject(error) : resolve(answer!)),
      )
    })
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    { name, input, output }: Method<I, O>,
    message: MessageInitShape<I>,
  ): ClientReadableStream<MessageShape<O>> {
    return this.#client.makeServerStreamRequest(
      SERVICE + name,
      serializing(input),
      deserializing(output),
      create(input, message),
      this.#metadata,
    )
  }

  /** Sends messages as fast as they are taken. */
  clientStream<I extends DescMessage, O extends DescMessage>(
    { name, input, output }: Method<I, O>,
    messages: Iterable<MessageInitShape<I>> | AsyncIterable<MessageInitShape<I>>,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        SERVICE + name,
        serializing(input),
        deserializing(output),
        this.#metadata,
        (error: ServiceError | null, answer?: MessageShape<O>) => (error ? reject(error) : resolve(answer!)),
      )
      const send = async () => {
        for await (const message of messages) {
          if (call.write(create(input, message))) continue
          await new Promise<void>((go) => {
            call.once('drain', go)
            call.once('close', go)
            call.once('error', () => go())
          })
          if (call.destroyed) return
        }
        call.end()
      }
      send().catch((error) => {
        call.cancel()
        reject(error)
      })
    })
  }

  close(): void {
    this.#client.close()
  }
}

const serializing =
  <D extends DescMessage>(schema: D) =>
  (message: MessageShape<D>): Buffer => {
    const bytes = toBinary(schema, message)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

const deserializing =
  <D extends DescMessage>(schema: D) =>
  (bytes: Buffer): MessageShape<D> =>
    fromBinary(schema, bytes)
