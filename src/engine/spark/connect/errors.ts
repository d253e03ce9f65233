// What gRPC and Spark say went wrong, as NighErrors.
import { fromBinary } from '@bufbuild/protobuf'
import type { ServiceError } from '@grpc/grpc-js'
import { type ErrorCode, NighError } from '../../../errors.ts'
import { ErrorInfoSchema, type FetchErrorDetailsResponse, GrpcStatusSchema } from './gen/spark_pb.ts'

/** Codes of gRPC. */
const status = {
  CANCELLED: 1,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'metadata' in error
}

/** What the trailer of a failed call tells: the class of the error, and under which id Spark keeps the rest. */
export function errorInfo(error: ServiceError): { errorId?: string; errorClass?: string } {
  for (const bytes of error.metadata?.get('grpc-status-details-bin') ?? []) {
    if (typeof bytes === 'string') continue
    for (const { typeUrl, value } of fromBinary(GrpcStatusSchema, bytes).details) {
      if (!typeUrl.endsWith('google.rpc.ErrorInfo')) continue
      const { metadata } = fromBinary(ErrorInfoSchema, value)
      return { errorId: metadata.errorId, errorClass: metadata.errorClass }
    }
  }
  return {}
}

/** The cause that says most: the last one of the chain that has words. */
export function causeText(details: FetchErrorDetailsResponse): string | undefined {
  const { errors, rootErrorIdx } = details
  let at = rootErrorIdx
  let text: string | undefined
  for (let depth = 0; at !== undefined && depth < errors.length; depth++) {
    const error = errors[at]
    if (!error) break
    if (error.message !== '') text = error.message
    at = error.causeIdx
  }
  return text
}

/** Calls that may be made again, as the connection or the server may be back. */
export function isTransient(error: unknown): boolean {
  if (!isServiceError(error)) return false
  if (error.code === status.UNAVAILABLE || error.code === status.RESOURCE_EXHAUSTED) return true
  return error.code === status.INTERNAL && /RST_STREAM|GOAWAY|INVALID_CURSOR\.DISCONNECTED/.test(error.details)
}

export function fromGrpc(error: unknown, server: string, details?: FetchErrorDetailsResponse): unknown {
  if (!isServiceError(error)) return error
  const told = details && causeText(details)
  const says = told ?? error.details
  const made = (code: ErrorCode, message: string) => new NighError(code, message, { cause: error })
  switch (error.code) {
    case status.UNAVAILABLE:
      return made('SPARK_UNREACHABLE', `no Spark Connect server answers at ${server}: ${error.details}`)
    case status.DEADLINE_EXCEEDED:
      return made('SPARK_UNREACHABLE', `the Spark Connect server at ${server} did not answer in time`)
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return made('SPARK_DENIED', `${server} refuses the token: ${error.details}`)
    case status.UNIMPLEMENTED:
      return made('SPARK_VERSION', `${server} does not know a call of Spark Connect 4: ${error.details}`)
    case status.CANCELLED:
      return made('CANCELLED', says)
    default:
      if (/OPERATION_CANCELED/.test(error.details)) return made('CANCELLED', 'the operation was interrupted')
      return made('SPARK_FAILED', says)
  }
}
