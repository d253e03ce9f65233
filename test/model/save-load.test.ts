import { spawn } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tableToIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { BruteForce, BruteForceModel, NearestNeighbors, NearestNeighborsModel } from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'
import { randomVectors } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const three = arrowTable({
  id: ['string', ['1', '2', '3']],
  vector: [
    'floats',
    [
      [0.011, 0.2341],
      [0.23, 0.3891],
      [0.43, 0.9891],
    ],
  ],
  kind: ['int', [1, 1, 2]],
})

describe('a saved model answers as the one it was', () => {
  const items = {
    ids: Array.from({ length: 40_000 }, (_, i) => i * 3),
    vectors: randomVectors(40_000, 16, 3, 0.1),
    dim: 16,
  }
  const queries = { vectors: randomVectors(50, 16, 4), dim: 16 }
  test.each([
    ['lists', { k: 5, recall: 0.9 }],
    ['exact, cosine', { k: 5, exact: true, metric: 'cosine' }],
    ['parts', { k: 5, exact: true, numPartitions: 3 }],
  ] as const)('%s', async (name, params) => {
    const path = join(directory, name)
    await using model = await new NearestNeighbors(params).fit(items)
    const before = await model.transform(queries)
    await model.save(path)
    await using loaded = await NearestNeighborsModel.load(path)
    expect(tableToIPC(await loaded.transform(queries))).toEqual(tableToIPC(before))
    expect(loaded.numItems).toBe(40_000)
    expect(loaded.partitionSummaries().toArray().map(String)).toEqual(model.partitionSummaries().toArray().map(String))
  })

  test('partitions and carried columns, with another k', async () => {
    const path = join(directory, 'partitions')
    const params = { k: 3, partitionCol: 'kind', columns: ['kind'] }
    await using model = await new BruteForce(params).fit(three)
    await model.save(path)
    await using loaded = await BruteForceModel.load(path, { k: 2, numThreads: 1 })
    const [first] = (await loaded.transform(three)).toArray()
    expect([...first.neighbors].map(({ neighbor, kind }) => [neighbor, kind])).toEqual([
      ['1', 1],
      ['2', 1],
    ])
    await expect(BruteForceModel.load(path, { metric: 'cosine' })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})

describe('append and delete', () => {
  const order = async (model: NearestNeighborsModel) =>
    neighborsOf(await model.transform(three)).map(({ ids }) => ids.join(''))

  test('a model in two steps answers as one in one', async () => {
    const path = join(directory, 'half')
    await using half = await new NearestNeighbors({ metric: 'cosine' }).fit(three.slice(0, 1))
    await half.save(path)
    expect(await half.append(three.slice(1))).toEqual({ added: 2, replaced: 0 })
    expect(await order(half)).toEqual(['132', '231', '321'])
    await using other = await new NearestNeighbors({ metric: 'cosine', initialModelPath: path }).fit(three.slice(1))
    expect(await order(other)).toEqual(['132', '231', '321'])
    await half.save(path, { overwrite: true })
    await using loaded = await NearestNeighborsModel.load(path)
    expect(await order(loaded)).toEqual(['132', '231', '321'])
    await expect(new NearestNeighbors({ initialModelPath: path }).fit(three)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('cosine'),
    })
  })

  test('a replaced id keeps one vector, the last', async () => {
    await using model = await new BruteForce({ k: 9 }).fit(three)
    const changed = arrowTable({
      id: ['string', ['2', '4', '2']],
      vector: [
        'doubles',
        [
          [9, 9],
          [5, 5],
          [7, 7],
        ],
      ],
    })
    expect(await model.append(changed)).toEqual({ added: 1, replaced: 1 })
    expect(model.numItems).toBe(4)
    const query = arrowTable({ vector: ['floats', [[7, 7]]] })
    const [answer] = neighborsOf(await model.transform(query))
    expect(answer!.ids).toEqual(['2', '4', '3', '1'])
    expect(answer!.distances[0]).toBe(0)
  })

  test('deleted ids are gone, others stay; types of ids are looked at', async () => {
    await using model = await new BruteForce({ k: 9 }).fit(three)
    expect(await model.delete(['3', 'nobody', '1'])).toEqual({ deleted: 2 })
    expect(neighborsOf(await model.transform(three)).map(({ ids }) => ids)).toEqual([['2'], ['2'], ['2']])
    await expect(model.delete([2])).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    const numbers = arrowTable({ id: ['int', [1]], vector: ['floats', [[1, 2]]] })
    await expect(model.append(numbers)).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    const wide = arrowTable({ id: ['string', ['x']], vector: ['floats', [[1, 2, 3]]] })
    await expect(model.append(wide)).rejects.toMatchObject({ code: 'DIMENSION_MISMATCH' })
    await expect(model.append({ vectors: new Float32Array(2), dim: 2 })).rejects.toMatchObject({
      code: 'COLUMN_NOT_FOUND',
    })
    expect(model.numItems).toBe(1)
    expect(await model.delete(['2'])).toEqual({ deleted: 1 })
    expect(neighborsOf(await model.transform(three))[0]!.ids).toEqual([])
    expect(await model.append(three)).toEqual({ added: 3, replaced: 0 })
  })

  test('integers of another width are the same ids', async () => {
    const item = (type: 'int' | 'long', id: number | bigint) =>
      arrowTable({ id: [type, [id]], vector: ['floats', [[1]]] })
    await using model = await new BruteForce().fit(item('int', 5))
    expect(await model.append(item('long', 5n))).toEqual({ added: 0, replaced: 1 })
    await expect(model.append(item('long', 2n ** 40n))).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    expect(await model.delete([5])).toEqual({ deleted: 1 })
  })

  test('in partitions', async () => {
    await using model = await new BruteForce({ partitionCol: 'kind' }).fit(three)
    const more = arrowTable({
      id: ['string', ['1', '9']],
      vector: [
        'floats',
        [
          [0, 0],
          [1, 1],
        ],
      ],
      kind: ['int', [2, 3]],
    })
    expect(await model.append(more)).toEqual({ added: 1, replaced: 1 })
    const sizes = () =>
      model
        .partitionSummaries()
        .toArray()
        .map(({ partition, size }) => [partition, Number(size)])
    expect(sizes()).toEqual([
      [1, 1],
      [2, 2],
      [3, 1],
    ])
    await model.delete(['2'])
    expect(sizes()).toEqual([
      [2, 2],
      [3, 1],
    ])
  })
})

describe('what is on disk', () => {
  const saved = async (name: string) => {
    const path = join(directory, name)
    await using model = await new BruteForce().fit(three)
    await model.save(path)
    return path
  }
  const dataOf = (path: string) =>
    join(path, JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8')).files[0].name)
  const code = (expected: string, text: RegExp) => ({ code: expected, message: expect.stringMatching(text) })

  test('describes itself', async () => {
    const path = await saved('described')
    const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))
    expect(manifest).toMatchObject({
      format: 'nigh-model',
      version: 1,
      kind: 'BruteForceModel',
      facts: { metric: 'l2', dim: 2, numItems: 3, idCol: 'id', idType: 'Utf8' },
      files: [{ sizeBytes: expect.any(Number), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
    })
    expect(readdirSync(path).sort()).toEqual([manifest.data, 'manifest.json'])
  })

  test('is replaced only when asked, and whole', async () => {
    const path = await saved('replaced')
    await using model = await new BruteForce().fit(three.slice(0, 2))
    await expect(model.save(path)).rejects.toMatchObject(code('MODEL_EXISTS', /overwrite/))
    await model.save(path, { overwrite: true })
    await using loaded = await BruteForceModel.load(path)
    expect(loaded.numItems).toBe(2)
    expect(readdirSync(path)).toHaveLength(2)
    const other = join(directory, 'no model')
    mkdirSync(other)
    writeFileSync(join(other, 'precious.txt'), 'mine')
    await expect(model.save(other, { overwrite: true })).rejects.toMatchObject(code('NOT_A_MODEL', /not a model/))
    expect(readdirSync(other)).toEqual(['precious.txt'])
    await expect(model.save(join(directory, 'no', 'where'))).resolves.toBeUndefined()
  })

  test.each([
    ['changed', (file: string) => writeFileSync(file, flipped(readFileSync(file)))],
    ['cut off', (file: string) => truncateSync(file, 100)],
    ['longer', (file: string) => appendFileSync(file, 'x')],
    ['missing', (file: string) => rmSync(file)],
  ])('a file that is %s is CORRUPT_MODEL', async (name, harm) => {
    const path = await saved(`harmed ${name}`)
    harm(dataOf(path))
    await expect(BruteForceModel.load(path)).rejects.toMatchObject(code('CORRUPT_MODEL', /items\.arrow/))
  })

  test('manifests that cannot be believed', async () => {
    const path = await saved('manifests')
    const file = join(path, 'manifest.json')
    const text = readFileSync(file, 'utf8')
    const load = () => BruteForceModel.load(path)
    writeFileSync(file, text.slice(0, text.length / 2))
    await expect(load()).rejects.toMatchObject(code('CORRUPT_MODEL', /not JSON/))
    writeFileSync(file, text.replace('"dim": 2', '"dim": 3'))
    await expect(load()).rejects.toMatchObject(code('CORRUPT_MODEL', /was changed/))
    writeFileSync(file, text.replace('"version": 1', '"version": 2'))
    await expect(load()).rejects.toMatchObject(code('MODEL_VERSION', /format 2/))
    writeFileSync(file, '{"name": "package"}')
    await expect(load()).rejects.toMatchObject(code('NOT_A_MODEL', /not nigh's/))
    rmSync(file)
    await expect(load()).rejects.toMatchObject(code('NOT_A_MODEL', /no manifest/))
    await expect(BruteForceModel.load(join(directory, 'nothing'))).rejects.toMatchObject(code('NOT_A_MODEL', /nothing/))
    writeFileSync(file, text)
    await expect(NearestNeighborsModel.load(path)).rejects.toMatchObject(code('NOT_A_MODEL', /is a BruteForceModel/))
    await using model = await load()
    expect(model.numItems).toBe(3)
  })
})

const flipped = (bytes: Buffer) => {
  bytes[bytes.length >> 1]! ^= 1
  return bytes
}

describe('a save that ends early', () => {
  const dist = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
  const script = join(directory, 'save.mjs')
  writeFileSync(
    script,
    `import { BruteForce } from ${JSON.stringify(dist)}
const [path, rows] = [process.argv[2], Number(process.argv[3])]
const model = await new BruteForce().fit({ vectors: new Float32Array(rows * 64).map((_, i) => i), dim: 64 })
process.stdout.write('saving')
await model.save(path, { overwrite: true })
process.stdout.write('saved')
`,
  )

  const started = (args: string[], options: { shell?: string } = {}) => {
    const child = options.shell
      ? spawn('bash', ['-c', options.shell, 'bash', process.execPath, script, ...args])
      : spawn(process.execPath, [script, ...args])
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.stderr.on('data', (chunk) => {
      err += chunk
    })
    const ended = new Promise<{ code: number | null; out: string; err: string }>((settle) =>
      child.on('close', (code) => settle({ code, out, err })),
    )
    return { child, ended, saving: () => out.includes('saving') }
  }

  test('killed at any moment, the old model or the new one is there', async () => {
    const path = join(directory, 'killed')
    const rows = 60_000
    await using old = await new BruteForce().fit(three)
    await old.save(path)
    let partial = 0
    for (const delay of [0, 5, 10, 20, 40, 80, 120]) {
      const { child, ended, saving } = started([path, String(rows)])
      while (!saving() && child.exitCode === null) await new Promise((settle) => setTimeout(settle, 1))
      await new Promise((settle) => setTimeout(settle, delay))
      child.kill('SIGKILL')
      await ended
      if (readdirSync(path).length > 2) partial++
      await using model = await BruteForceModel.load(path)
      expect([3, rows]).toContain(model.numItems)
    }
    expect(partial).toBeGreaterThan(0)
    // What the dead left goes with the next model.
    await old.save(path, { overwrite: true })
    expect(readdirSync(path)).toHaveLength(2)
    await using last = await BruteForceModel.load(path)
    expect(last.numItems).toBe(3)
  })

  test('no room: an error, and the old model as it was', async () => {
    const path = join(directory, 'full')
    await using old = await new BruteForce().fit(three)
    await old.save(path)
    cpSync(path, `${path} before`, { recursive: true })
    const { ended } = started([path, '60000'], { shell: 'ulimit -f 1000; exec "$@"' })
    const { code, out, err } = await ended
    expect(out).toBe('saving')
    expect(code).not.toBe(0)
    if (code === 1) expect(err).toMatch(/OUTPUT_UNWRITABLE|DISK_FULL/)
    await using model = await BruteForceModel.load(path)
    expect(model.numItems).toBe(3)
    expect(readFileSync(join(path, 'manifest.json'))).toEqual(readFileSync(join(`${path} before`, 'manifest.json')))
    expect(existsSync(`${path} before`)).toBe(true)
  })
})
