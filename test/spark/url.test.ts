import { expect, test } from 'vitest'
import { parseSparkUrl } from '../../src/engine/spark/connect/url.ts'

test('an address with all that may stand in it', () => {
  const session = '00112233-4455-6677-8899-aabbccddeeff'
  expect(
    parseSparkUrl(`sc://spark.example:443/;token=a%3Db;user_id=ann;session_id=${session};x-zone=1;user_agent=me`),
  ).toEqual({
    host: 'spark.example',
    port: 443,
    token: 'a=b',
    ssl: true,
    userId: 'ann',
    sessionId: session,
    userAgent: 'me',
    headers: { 'x-zone': '1' },
  })
})

test.each([
  ['sc://host', 15002, false],
  ['sc://host/;use_ssl=true', 15002, true],
  ['sc://localhost:1/;token=x', 1, false],
  ['sc://[::1]:2/', 2, false],
])('%s', (url, port, ssl) => {
  expect(parseSparkUrl(url)).toMatchObject({ port, ssl })
})

test.each([
  'host:15002',
  'sc://',
  'sc://host:99999',
  'sc://host/x=1',
  'sc://host/;token',
  'sc://host/;use_ssl=yes',
  'sc://host/;token=secret;use_ssl=false',
  'sc://host/;session_id=7',
])('%s is refused', (url) => {
  expect(() => parseSparkUrl(url)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(() => parseSparkUrl(url)).not.toThrow(/secret/)
})
