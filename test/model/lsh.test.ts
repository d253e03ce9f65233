import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  BucketedRandomProjectionLSH,
  BucketedRandomProjectionLSHModel,
  type BucketedRandomProjectionLSHOptions,
  loadModel,
  NighError,
  Pipeline,
  readTable,
} from '../../src/index.ts'
import { randomSource } from '../../src/join/sample.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'
import { randomVectors, trueDistance } from '../support/oracle.ts'
import { temporaryDirectory } from '../support/run.ts'
import { hashesOf, pairsOf } from './lsh-support.ts'

const directory = temporaryDirectory()

/** Points of the plane: 20 x 20, from -10 to 9. */
const grid = Float32Array.from({ length: 800 }, (_, i) => (i % 2 === 0 ? Math.floor(i / 40) : (i >> 1) % 20) - 10)
/** 24 points on a circle of radius 10. */
const circle = Float32Array.from({ length: 48 }, (_, i) => {
  const angle = (Math.PI / 12) * (i >> 1)
  return 10 * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
})
const points = (vectors: Float32Array, dim = 2) => ({ vectors, dim })
const row = (vectors: Float32Array, i: number, dim = 2) => vectors.subarray(i * dim, (i + 1) * dim)
const near = (a: Float32Array, b: Float32Array, i: number, j: number, dim = 2) =>
  trueDistance('l2', row(a, i, dim), row(b, j, dim))

const failing = async (work: () => unknown): Promise<NighError> => {
  try {
    await work()
  } catch (error) {
    expect(error).toBeInstanceOf(NighError)
    return error as NighError
  }
  throw new Error('nothing failed')
}

describe('what Spark and fast_lsh_ann hold themselves to', () => {
  /** Of the pairs that share a bucket, the part that is far; of those that share none, the part that is close. */
  async function quality(
    vectors: Float32Array,
    dim: number,
    options: BucketedRandomProjectionLSHOptions,
    [far, close]: [number, number],
  ) {
    const model = new BucketedRandomProjectionLSH(options).createModel(dim)
    const hashes = hashesOf(await model.transform(points(vectors, dim)))
    const [positive, negative] = [
      { all: 0, wrong: 0 },
      { all: 0, wrong: 0 },
    ]
    for (let i = 0; i < hashes.length; i++) {
      for (let j = 0; j < hashes.length; j++) {
        const distance = near(vectors, vectors, i, j, dim)
        const meet = hashes[i]!.some((hash, table) => hash === hashes[j]![table])
        const pairs = meet ? positive : negative
        pairs.all++
        if (meet ? distance > far : distance < close) pairs.wrong++
      }
    }
    expect(Math.min(positive.all, negative.all)).toBeGreaterThan(50)
    return [positive.wrong / positive.all, negative.wrong / negative.all] as const
  }

  test.each(['spark', 'offset'] as const)('%s: near points of a grid meet, far ones do not', async (hashFamily) => {
    const options = { bucketLength: 1, seed: 12345, hashFamily }
    const [wrong, missed] = await quality(grid, 2, options, [8, 2])
    expect(wrong).toBeLessThan(0.4)
    expect(missed).toBeLessThan(0.4)
  })

  test('100 dimensions, 10 tables', async () => {
    const next = randomSource(1)
    const vectors = Float32Array.from({ length: 100 * 100 }, () => (6 * next()) / 2 ** 32)
    const twins = vectors.map((x) => x + (0.1 * next()) / 2 ** 32)
    const options = { bucketLength: 2.5, numHashTables: 10, seed: 12345 }
    const [wrong, missed] = await quality(new Float32Array([...vectors, ...twins]), 100, options, [26, 2])
    expect(wrong).toBeLessThan(0.3)
    expect(missed).toBeLessThan(0.3)
  })

  const key = Float32Array.of(1.2, 3.4)
  const truth = Array.from({ length: 400 }, (_, i) => i)
    .sort((i, j) => near(key, grid, 0, i) - near(key, grid, 0, j))
    .slice(0, 100)

  test('one probe: precision and recall of 100 neighbors', async () => {
    const lsh = new BucketedRandomProjectionLSH({ bucketLength: 4, numHashTables: 2, seed: 12345 })
    await using model = await lsh.fit(points(grid))
    const { ids } = neighborsOf(await model.approxNearestNeighbors(points(key), 100))[0]!
    const right = ids.filter((id) => truth.includes(id as number)).length
    expect(right / ids.length).toBeGreaterThanOrEqual(0.6)
    expect(right / 100).toBeGreaterThanOrEqual(0.6)
  })

  test('many probes: k neighbors, more of them right', async () => {
    const lsh = new BucketedRandomProjectionLSH({ bucketLength: 1, numHashTables: 20, seed: 12345 })
    await using model = await lsh.fit(points(grid))
    const { ids, distances } = neighborsOf(await model.approxNearestNeighbors(points(key), 100, { numProbes: 4 }))[0]!
    expect(ids).toHaveLength(100)
    expect(ids.filter((id) => truth.includes(id as number)).length).toBeGreaterThanOrEqual(70)
    expect(distances).toEqual([...distances].sort((x, y) => x - y))
  })

  test('a circle and a grid: every pair is right, most are found', async () => {
    const model = new BucketedRandomProjectionLSH({ bucketLength: 2, numHashTables: 2, seed: 12345 }).createModel(2)
    const found = pairsOf(await (await model.approxSimilarityJoin(points(circle), points(grid), 1)).toTable())
    let all = 0
    for (let i = 0; i < 24; i++) for (let j = 0; j < 400; j++) if (near(circle, grid, i, j) < 1) all++
    for (const [i, j, distance] of found) expect(distance).toBeCloseTo(near(circle, grid, i, j), 5)
    expect(found.every(([i, j]) => near(circle, grid, i, j) < 1)).toBe(true)
    expect(found.length / all).toBeGreaterThanOrEqual(0.7)
  })

  test.each(['spark', 'offset'] as const)('%s: a grid with itself, threshold 3', async (hashFamily) => {
    const lsh = new BucketedRandomProjectionLSH({ bucketLength: 4, numHashTables: 4, seed: 12345, hashFamily })
    const pairs = pairsOf(await (await lsh.createModel(2).approxSelfJoin(3, { of: points(grid) })).toTable())
    const within = (i: number, j: number) => near(grid, grid, i, j) - (hashFamily === 'offset' ? 1e-9 : 0) < 3
    let all = 0
    for (let i = 0; i < 400; i++) for (let j = i + 1; j < 400; j++) if (within(i, j)) all++
    expect(pairs.every(([i, j]) => i < j && within(i, j))).toBe(true)
    expect(new Set(pairs.map(([i, j]) => i * 400 + j)).size).toBe(pairs.length)
    // At the threshold there are pairs: the offset family's join has them.
    expect(pairs.some(([, , distance]) => distance === 3)).toBe(hashFamily === 'offset')
    expect(pairs.length / all).toBeGreaterThanOrEqual(0.7)
  })
})

test('hashes of a seed, as Spark gives them', async () => {
  // Of Spark 4.0.1: seed 42, three tables, bucketLength 0.5.
  const model = new BucketedRandomProjectionLSH({ bucketLength: 0.5, numHashTables: 3, seed: 42 }).createModel(2)
  expect(hashesOf(await model.transform(points(Float32Array.of(1.25, 4.5, -2, 0.75, 0, 0, 100.5, -33.25))))).toEqual(
    GOLDEN,
  )
})

const GOLDEN = [
  [7, -9, 9],
  [-3, 1, -1],
  [0, 0, 0],
  [114, -81, 14],
]

test('hashes come as one more column, table by table', async () => {
  const table = (first: number) =>
    arrowTable({
      name: ['string', [`${first}`, `${first + 1}`]],
      v: [
        'doubles',
        [
          [first, 1],
          [first + 1, 2],
        ],
      ],
    })
  const model = new BucketedRandomProjectionLSH({ bucketLength: 1, featuresCol: 'v', outputCol: 'h' }).createModel(2)
  const hashed = await model.transform([table(0), table(2)])
  expect(hashed.schema.names).toEqual(['name', 'v', 'h'])
  expect(hashed.getChild('name')!.toJSON()).toEqual(['0', '1', '2', '3'])
  const [one] = hashesOf(await model.transform(table(2)), 'h')
  expect(hashesOf(hashed, 'h')[2]).toEqual(one)
  const given = await readTable([table(0), table(2)])
  let tables = 0
  for await (const part of model.tables(given)) tables += part.numRows === 2 ? 1 : 0
  expect(tables).toBe(2)
})

describe('models', () => {
  const vectors = randomVectors(3000, 8, 3, 0.1)
  const ids = Array.from({ length: 3000 }, (_, i) => `item ${i}`)
  const items = { ids, vectors, dim: 8 }
  const queries = randomVectors(50, 8, 4)

  test('are as they were when they come back', async () => {
    const path = join(directory, 'model')
    const lsh = new BucketedRandomProjectionLSH({ bucketLength: 1.5, numHashTables: 4, hashFamily: 'offset', seed: 5 })
    await using model = await lsh.fit(items)
    await model.save(path)
    await using loaded = await BucketedRandomProjectionLSHModel.load(path, { numThreads: 1 })
    expect([loaded.numItems, loaded.dim]).toEqual([3000, 8])
    for (const numProbes of [1, 5]) {
      const ask = (one: BucketedRandomProjectionLSHModel) =>
        one.approxNearestNeighbors(points(queries, 8), 7, { numProbes }).then((table) => neighborsOf(table))
      expect(await ask(loaded)).toEqual(await ask(model))
    }
    const pairs = async (one: BucketedRandomProjectionLSHModel) =>
      [...(await (await one.approxSelfJoin(1.2)).toTable())].map(String)
    expect((await pairs(model)).length).toBeGreaterThan(100)
    expect(await pairs(loaded)).toEqual(await pairs(model))
    expect(hashesOf(await loaded.transform(points(queries, 8)))).toEqual(
      hashesOf(await model.transform(points(queries, 8))),
    )
    const clash = await failing(() => BucketedRandomProjectionLSHModel.load(path, { bucketLength: 2 }))
    expect([clash.code, clash.message]).toEqual(['INVALID_OPTION', expect.stringContaining('bucketLength')])
    expect(await loadModel(path)).toBeInstanceOf(BucketedRandomProjectionLSHModel)
  })

  test('without items hash and join, and refuse to search', async () => {
    const path = join(directory, 'bare')
    const bare = new BucketedRandomProjectionLSH({ bucketLength: 1 }).createModel(8)
    await bare.save(path)
    for (const model of [bare, await BucketedRandomProjectionLSHModel.load(path)]) {
      expect(hashesOf(await model.transform(points(queries, 8)))).toHaveLength(50)
      for (const work of [() => model.approxNearestNeighbors(points(queries, 8), 3), () => model.approxSelfJoin(1)]) {
        expect((await failing(work)).code).toBe('MODEL_NOT_FITTED')
      }
    }
  })

  test('leave out the item that asks', async () => {
    await using model = await new BucketedRandomProjectionLSH({ bucketLength: 3, numHashTables: 3 }).fit(items)
    const found = await model.approxNearestNeighbors(items, 4, { excludeSelf: true, numProbes: 2 })
    const answers = neighborsOf(found)
    answers.forEach(({ ids: near }, i) => {
      expect(near).toHaveLength(4)
      expect(near).not.toContain(ids[i])
    })
  })

  test.each(['cosine', 'jaccard'] as const)('%s: neighbors and pairs are at their true distance', async (metric) => {
    const sets = metric === 'jaccard' ? vectors.map((x) => (x > 0.8 ? 1 : 0)) : vectors
    const lsh = new BucketedRandomProjectionLSH({ metric, numHashTables: 4, numBits: 4 })
    await using model = await lsh.fit(points(sets, 8))
    const answers = neighborsOf(await model.approxNearestNeighbors(points(sets.subarray(0, 800), 8), 3))
    answers.forEach(({ ids: near, distances }, i) => {
      near.forEach((id, at) => {
        const distance = trueDistance(metric, row(sets, i, 8), row(sets, id as number, 8))
        expect(distances[at]).toBeCloseTo(distance, 5)
      })
    })
    const pairs = await (await model.approxSelfJoin(0.05, { of: points(sets.subarray(0, 2400), 8) })).toTable()
    expect(pairs.numRows).toBeGreaterThan(10)
    for (const [i, j, distance] of pairsOf(pairs).slice(0, 1000)) {
      expect(distance).toBeCloseTo(trueDistance(metric, row(sets, i, 8), row(sets, j, 8)), 5)
    }
  })

  test('bits are sets', async () => {
    const table = arrowTable({
      vector: [
        'ints',
        [
          [1, 1, 0, 1],
          [1, 1, 0, 1],
          [0, 0, 1, 0],
        ],
      ],
    })
    const model = new BucketedRandomProjectionLSH({ metric: 'jaccard', numHashTables: 2 }).createModel(4)
    const pairs = await (await model.approxSelfJoin(0.5, { of: table })).toTable()
    expect(pairsOf(pairs)).toEqual([[0, 1, 0]])
  })

  test('are stages of pipelines', async () => {
    const description = { stages: [{ kind: 'BucketedRandomProjectionLSH', bucketLength: 2, numHashTables: 2 }] }
    await using model = await Pipeline.from(description).fit(items)
    const path = join(directory, 'pipeline')
    await model.save(path)
    await using loaded = (await loadModel(path)) as typeof model
    const hashes = hashesOf(await model.transform(points(queries, 8)))
    expect(hashes[0]).toHaveLength(2)
    expect(hashesOf(await loaded.transform(points(queries, 8)))).toEqual(hashes)
  })
})

describe('joins', () => {
  const vectors = randomVectors(2000, 6, 9, 0.2)

  test('give the same tables at each reading, on any number of threads', async () => {
    const tables = async (numThreads: number) => {
      const lsh = new BucketedRandomProjectionLSH({ bucketLength: 2, numHashTables: 3, numThreads })
      const joined = await lsh.createModel(6).approxSelfJoin(1, { of: points(vectors, 6) })
      const first = [...(await joined.toTable())].map(String)
      expect([...(await joined.toTable())].map(String)).toEqual(first)
      return first
    }
    const one = await tables(1)
    expect(one.length).toBeGreaterThan(200)
    expect(await tables(2)).toEqual(one)
  })

  test('are datasets: their columns are named, their ids typed, and they are written', async () => {
    const a = arrowTable({
      id: ['string', ['x', 'y']],
      vector: [
        'floats',
        [
          [0, 0],
          [5, 5],
        ],
      ],
    })
    const b = arrowTable({
      id: ['int', [7, 8]],
      vector: [
        'floats',
        [
          [0, 0.5],
          [50, 5],
        ],
      ],
    })
    const model = new BucketedRandomProjectionLSH({ bucketLength: 100, hashFamily: 'offset' }).createModel(2)
    const joined = await model.approxSimilarityJoin(a, b, 1, { distCol: 'd', idACol: 'left' })
    expect((await joined.schema()).fields.map(String)).toEqual(['left: Utf8', 'idB: Int32', 'd: Float32'])
    const out = join(directory, 'pairs')
    mkdirSync(out)
    await joined.write(join(out, 'pairs.parquet'))
    const read = await (await readTable(join(out, 'pairs.parquet'))).toTable()
    expect(read.toArray().map((pair) => pair.toJSON())).toEqual([{ left: 'x', idB: 7, d: 0.5 }])
    const none = await model.approxSimilarityJoin(a, b, 0)
    expect((await none.toTable()).numRows).toBe(0)
  })

  test('of equal rows pair them all, once', async () => {
    const same = { ids: [10, 11, 12], vectors: new Float32Array(6), dim: 2 }
    const model = new BucketedRandomProjectionLSH({ bucketLength: 1, numHashTables: 5 }).createModel(2)
    const pairs = pairsOf(await (await model.approxSelfJoin(0.1, { of: same })).toTable())
    expect(pairs).toEqual([
      [10, 11, 0],
      [10, 12, 0],
      [11, 12, 0],
    ])
  })

  test('can be cancelled, and tell how far they are', async () => {
    const big = points(randomVectors(20_000, 6, 1), 6)
    const model = new BucketedRandomProjectionLSH({ bucketLength: 50 }).createModel(6)
    const stop = new AbortController()
    const joined = await model.approxSelfJoin(0.01, { of: big, signal: stop.signal })
    stop.abort()
    expect((await failing(() => joined.toTable())).code).toBe('CANCELLED')
    const events: { stage: string; done: number; total: number }[] = []
    await (await model.approxSelfJoin(0.01, { of: big, onProgress: (event) => events.push(event) })).toTable()
    const last = events.filter(({ stage }) => stage === 'join').at(-1)!
    expect(last.total).toBeGreaterThan(1e7)
    expect(last.done).toBe(last.total)
  })
})

describe('bad input', () => {
  const lsh = (options: object) => new BucketedRandomProjectionLSH(options as BucketedRandomProjectionLSHOptions)
  test.each([
    ['bucketLength', {}],
    ['bucketLength', { bucketLength: 0 }],
    ['bucketLength', { bucketLength: -1 }],
    ['bucketLength', { bucketLength: Number.NaN }],
    ['bucketLength', { bucketLength: Number.POSITIVE_INFINITY }],
    ['bucketLength', { bucketLength: '1' }],
    ['numHashTables', { bucketLength: 1, numHashTables: 0 }],
    ['numBits', { metric: 'cosine', numBits: 33 }],
    ['metric', { bucketLength: 1, metric: 'dot' }],
    ['hashFamily', { bucketLength: 1, hashFamily: 'java' }],
    ['seed', { bucketLength: 1, seed: 0.5 }],
    ['numTrees', { bucketLength: 1, numTrees: 3 }],
    ['outputCol', { bucketLength: 1, outputCol: '' }],
  ])('%s of %o', async (name, options) => {
    const { code, message } = await failing(() => lsh(options))
    expect([code, message]).toEqual(['INVALID_OPTION', expect.stringMatching(`^${name}: `)])
  })

  test('of searches and joins', async () => {
    await using model = await lsh({ bucketLength: 1 }).fit(points(grid))
    const bare = lsh({ bucketLength: 1 }).createModel(2)
    const three = points(new Float32Array(6), 3)
    const nulls = arrowTable({ vector: ['floats', [[1, 2], null]] })
    const nan = points(Float32Array.of(1, Number.NaN))
    for (const [expected, work] of [
      ['INVALID_OPTION', () => model.approxNearestNeighbors(points(grid), 0)],
      ['INVALID_OPTION', () => model.approxNearestNeighbors(points(grid), 1.5)],
      ['INVALID_OPTION', () => model.approxNearestNeighbors(points(grid), 1, { numProbes: 0 })],
      ['INVALID_OPTION', () => model.approxSelfJoin(Number.NaN)],
      ['INVALID_OPTION', () => lsh({ bucketLength: 1 }).createModel(0)],
      ['DIMENSION_MISMATCH', () => model.approxNearestNeighbors(three, 1)],
      ['DIMENSION_MISMATCH', () => model.transform(three)],
      ['DIMENSION_MISMATCH', () => bare.approxSimilarityJoin(points(grid), three, 1)],
      ['DIMENSION_MISMATCH', () => bare.approxSelfJoin(1, { of: three })],
      ['NULL_VECTOR', () => bare.transform(nulls)],
      ['NULL_VECTOR', () => bare.approxSelfJoin(1, { of: nulls })],
      ['INVALID_VECTOR', () => lsh({ bucketLength: 1 }).fit(nan)],
      ['INVALID_VECTOR', () => model.approxNearestNeighbors(nan, 1)],
      ['COLUMN_CONFLICT', () => bare.approxSelfJoin(1, { of: points(grid), distCol: 'idA' })],
    ] as const) {
      const { code } = await failing(work)
      expect([code, String(work)]).toEqual([expected, String(work)])
    }
    expect((await model.approxNearestNeighbors(points(grid), 3)).numRows).toBe(400)
    await model[Symbol.asyncDispose]()
    expect((await failing(() => model.approxNearestNeighbors(points(grid), 3))).code).toBe('DISPOSED')
  })

  test('rows that are dropped are in no pair', async () => {
    const some = arrowTable({ id: ['int', [5, 6, 7]], vector: ['floats', [[1, 2], null, [1, 2.5]]] })
    const model = lsh({ bucketLength: 100, hashFamily: 'offset', onInvalid: 'drop' }).createModel(2)
    expect(pairsOf(await (await model.approxSelfJoin(1, { of: some })).toTable())).toEqual([[5, 7, 0.5]])
  })

  test('no rows', async () => {
    const none = arrowTable({ id: ['int', []], vector: ['floats', []] })
    await using model = await lsh({ bucketLength: 1 }).fit(none)
    const found = await model.approxNearestNeighbors(points(grid), 3)
    expect(neighborsOf(found).every(({ ids }) => ids.length === 0)).toBe(true)
    expect((await (await model.approxSelfJoin(1)).toTable()).numRows).toBe(0)
  })
})
