// Spark's own form of an address: sc://host:port/;token=...;use_ssl=true;user_id=...
import { userInfo } from 'node:os'
import { invalidOption } from '../../../errors.ts'

export interface SparkAddress {
  host: string
  port: number
  token: string | undefined
  ssl: boolean
  userId: string
  sessionId: string | undefined
  userAgent: string | undefined
  /** Whatever else stands in the address goes along as gRPC metadata. */
  headers: Record<string, string>
}

const DEFAULT_PORT = 15002
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function parseSparkUrl(text: string): SparkAddress {
  const wrong = (what: string) =>
    invalidOption('spark', `${what}; sc://host:port is one, sc://host:port/;token=... too`)
  const url = /^sc:\/\/(\[[^\]]+\]|[^:/;[\]]+)(?::(\d+))?(?:\/(.*))?$/.exec(text)
  if (!url) throw wrong(`${JSON.stringify(withoutToken(text))} is not an address of Spark Connect`)
  const [, host, digits, rest = ''] = url
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  if (port < 1 || port > 65_535) throw wrong(`there is no port ${digits}`)
  if (rest !== '' && !rest.startsWith(';')) throw wrong('parameters begin with /;')
  const params = new Map<string, string>()
  for (const part of rest.split(';').filter(Boolean)) {
    const equals = part.indexOf('=')
    if (equals < 1) throw wrong(`the parameter ${JSON.stringify(withoutToken(part))} has no value`)
    params.set(part.slice(0, equals), decoded(part.slice(equals + 1)))
  }
  const take = (name: string) => {
    const value = params.get(name)
    params.delete(name)
    return value
  }
  const token = take('token')
  const useSsl = take('use_ssl')?.toLowerCase()
  if (useSsl !== undefined && useSsl !== 'true' && useSsl !== 'false') throw wrong('use_ssl is true or false')
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host!)
  if (token !== undefined && useSsl === 'false' && !isHere) throw wrong('a token does not travel without use_ssl=true')
  const sessionId = take('session_id')
  if (sessionId !== undefined && !UUID.test(sessionId)) throw wrong('session_id is a UUID')
  return {
    host: host!,
    port,
    token,
    ssl: useSsl === undefined ? token !== undefined && !isHere : useSsl === 'true',
    userId: take('user_id') ?? userName(),
    sessionId,
    userAgent: take('user_agent'),
    headers: Object.fromEntries(params),
  }
}

/** A text that may be shown. */
export function withoutToken(text: string): string {
  return text.replace(/(token=)[^;]*/gi, '$1...')
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without an entry in the list of users, as in containers.
    return 'nigh'
  }
}
