// A server of our own: what Spark's does not do in a test.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { AnalyzePlanRequestSchema, AnalyzePlanResponseSchema } from '../../src/engine/spark/connect/gen/spark_pb.ts'
import { SparkSession } from '../../src/engine/spark/connect/session.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
let server: Server | undefined
afterEach(() => server?.forceShutdown())

/** A server that tells a version, and what it was told. */
async function serving(version: string, credentials: ServerCredentials): Promise<{ port: number; told: string[] }> {
  const told: string[] = []
  server = new Server()
  server.addService(
    {
      AnalyzePlan: {
        path: '/spark.connect.SparkConnectService/AnalyzePlan',
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Buffer) => value,
        requestDeserialize: (bytes: Buffer) => fromBinary(AnalyzePlanRequestSchema, bytes),
        responseSerialize: (value: Buffer) => value,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      AnalyzePlan: (call: { metadata: { get(name: string): unknown[] } }, answer: (e: null, bytes: Buffer) => void) => {
        told.push(String(call.metadata.get('authorization')[0]), String(call.metadata.get('x-zone')[0]))
        const response = create(AnalyzePlanResponseSchema, { result: { case: 'sparkVersion', value: { version } } })
        answer(null, Buffer.from(toBinary(AnalyzePlanResponseSchema, response)))
      },
    } as unknown as UntypedServiceImplementation,
  )
  const port = await new Promise<number>((resolve, reject) => {
    server!.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
  })
  return { port, told }
}

test('an old Spark is refused by its version', async () => {
  const { port } = await serving('3.5.6', ServerCredentials.createInsecure())
  await expect(SparkSession.connect(`sc://127.0.0.1:${port}`)).rejects.toMatchObject({
    code: 'SPARK_VERSION',
    message: expect.stringContaining('3.5.6'),
  })
})

test('TLS: the token goes to a server whose authority is trusted, and to no other', async () => {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
  ])
  expect(made.status, String(made.stderr)).toBe(0)
  const pair = { private_key: readFileSync(key), cert_chain: readFileSync(cert) }
  const { port, told } = await serving('4.1.0', ServerCredentials.createSsl(null, [pair]))
  const url = `sc://localhost:${port}/;use_ssl=true;token=t0ken;x-zone=b`
  await using session = await SparkSession.connect(url, { ca: readFileSync(cert) })
  expect(session.version).toBe('4.1.0')
  expect(told).toEqual(['Bearer t0ken', 'b'])
  await expect(SparkSession.connect(url, { connectTimeoutMs: 3000 })).rejects.toMatchObject({
    code: 'SPARK_UNREACHABLE',
  })
  expect(told).toHaveLength(2)
})
