import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableToIPC } from 'apache-arrow'
import { expect, test } from 'vitest'
import {
  BruteForce,
  type KeptIndex,
  type KnnModel,
  loadModel,
  Normalizer,
  Pipeline,
  PipelineModel,
  readTable,
  VectorConverter,
} from '../../src/index.ts'
import { arrowTable, neighborsOf } from '../support/arrow.ts'
import { nigh, readRows, runPython, temporaryDirectory } from '../support/run.ts'

const directory = temporaryDirectory()
const items = arrowTable({
  id: ['long', [1n, 2n, 3n]],
  raw: [
    'doubles',
    [
      [0.011, 0.2341],
      [0.23, 0.3891],
      [0.43, 0.9891],
    ],
  ],
})
const pipeline = new Pipeline({
  stages: [
    new VectorConverter({ inputCol: 'raw', outputCol: 'floats', outputType: 'array<float>' }),
    new Normalizer({ inputCol: 'floats', outputCol: 'unit' }),
    new BruteForce({ featuresCol: 'unit', k: 3 }),
  ],
})
const orders = [
  [1, 3, 2],
  [2, 3, 1],
  [3, 2, 1],
]

test('stages one after the other, as one', async () => {
  await using model = await pipeline.fit(items)
  const table = await model.transform(items)
  expect(table.schema.names).toEqual(['id', 'raw', 'floats', 'unit', 'neighbors'])
  // Unit vectors: the order of l2 is that of cosine.
  expect(neighborsOf(table).map(({ ids }) => ids)).toEqual(orders)
})

test('saved and loaded, each stage in a directory of its own', async () => {
  const path = join(directory, 'pipeline')
  await using model = await pipeline.fit(items)
  await model.save(path)
  await expect(model.save(path)).rejects.toMatchObject({ code: 'MODEL_EXISTS' })
  await using loaded = (await loadModel(path)) as PipelineModel
  expect(loaded.stages.map(({ kind }) => kind)).toEqual(['VectorConverter', 'Normalizer', 'BruteForceModel'])
  expect(neighborsOf(await loaded.transform(items)).map(({ ids }) => ids)).toEqual(orders)
  const last = loaded.stages[2] as KnnModel
  await last.delete([2])
  await loaded.save(path, { overwrite: true })
  await using again = await PipelineModel.load(path)
  expect(neighborsOf(await again.transform(items))[0]!.ids).toEqual([1, 3])

  const { data } = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))
  expect(readdirSync(join(path, data))).toEqual(['00-VectorConverter', '01-Normalizer', '02-BruteForceModel'])
  truncateSync(join(path, data, '01-Normalizer/manifest.json'), 10)
  await expect(loadModel(path)).rejects.toMatchObject({
    code: 'CORRUPT_MODEL',
    message: expect.stringContaining('01-'),
  })
})

test('a transformer alone is saved, too', async () => {
  const path = join(directory, 'normalizer')
  await new Normalizer({ p: Number.POSITIVE_INFINITY, inputCol: 'raw' }).save(path)
  const stage = (await loadModel(path)) as Normalizer
  const table = await stage.transform(arrowTable({ raw: ['doubles', [[2, -4]]] }))
  expect([...table.getChild('normalized')!.get(0)]).toEqual([0.5, -1])
  await expect(PipelineModel.load(path)).rejects.toMatchObject({ code: 'NOT_A_MODEL' })
})

test('from plain data; what it cannot be is said', async () => {
  const described = {
    stages: [
      { kind: 'Normalizer', inputCol: 'raw' },
      { kind: 'BruteForce', featuresCol: 'normalized' },
    ],
  }
  await using model = await Pipeline.from(described).fit(items)
  expect(neighborsOf(await model.transform(items)).map(({ ids }) => ids)).toEqual(orders)
  expect(Pipeline.from({ kind: 'NearestNeighbors', k: 3 }).stages).toHaveLength(1)
  expect(() => Pipeline.from({ kind: 'Normaliser' })).toThrow(/kind: must be one of .*Normalizer.*"Normaliser"/)
  expect(() => Pipeline.from({ stages: [] })).toThrow(/at least/)
  expect(() => Pipeline.from([])).toThrow(/kind/)
  expect(() => Pipeline.from({ kind: 'BruteForce', recall: 0.9 })).toThrow(/^recall: /)
  expect(() => Pipeline.from({ kind: 'BruteForce', kk: 1 })).toThrow(/^kk: no such/)
})

test('Parquet in, a file out', async () => {
  const [path, out] = [join(directory, 'items.parquet'), join(directory, 'near.arrow')]
  runPython('items_parquet.py', path)
  await using model = await pipeline.fit(path)
  const { report } = await model.transformTo(out, path)
  expect(report!.rows).toMatchObject({ queries: 3, items: 3 })
  const rows = readRows(out)
  expect(rows.map(({ neighbors }) => neighbors.map(({ neighbor }) => Number(neighbor)))).toEqual(orders)
  expect(Object.keys(rows[0]!)).toEqual(['id', 'raw', 'name', 'floats', 'unit', 'neighbors'])
})

test('a dataset of tables, on both sides', async () => {
  const dataset = {
    async *tables() {
      yield items.slice(0, 2)
      yield items.slice(2)
    },
  }
  await using model = await pipeline.fit(dataset)
  expect(neighborsOf(await model.transform(dataset)).map(({ ids }) => ids)).toEqual(orders)
})

test('explainParams tells all stages', () => {
  const text = pipeline.explainParams()
  expect(text).toMatch(/^VectorConverter\n {2}inputCol: /)
  expect(text).toMatch(/\nBruteForce\n(.*\n)* {2}k: .*\(default: 10, current: 3\)/)
})

test.each(['Flat', 'Cluster', 'Hnsw', 'Forest', 'Lsh'])('an index as the last stage: %s', async (kind) => {
  const path = join(directory, `with-${kind}`)
  const stages = [
    { kind: 'VectorConverter', inputCol: 'raw', outputCol: 'floats', outputType: 'array<float>' },
    { kind: 'Normalizer', inputCol: 'floats', outputCol: 'unit' },
    { kind, featuresCol: 'unit', k: 3, predictionCol: 'near' },
  ]
  await using model = await Pipeline.from({ stages }).fit(items)
  await model.save(path)
  await using loaded = (await loadModel(path)) as PipelineModel
  for (const one of [model, loaded]) {
    expect(neighborsOf(await one.transform(items), 'near').map(({ ids }) => ids)).toEqual(orders)
  }
  const index = loaded.stages[2] as KeptIndex
  expect(index.explainParams()).toMatch(/k: .*current: 3/)
  expect(index.params).toMatchObject({ k: 3, predictionCol: 'near', kind: { kind: kind.toLowerCase() } })
  const out = join(directory, `out-${kind}.parquet`)
  expect(await loaded.transformTo(out, items)).toMatchObject({ path: out, numQueries: 3, numNeighbors: 9 })
  const written = async () => neighborsOf(await (await readTable(out)).toTable(), 'near').map(({ ids }) => ids)
  expect(await written()).toEqual(orders)
  await expect(loaded.transformTo(out, items)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  const queries = join(directory, 'queries.arrows')
  writeFileSync(queries, tableToIPC(items, 'stream'))
  const asked = nigh(['transform', path, queries, '--out', out, '--force'])
  expect(asked).toMatchObject({ code: 0, stderr: expect.stringMatching(/3 queries, 9 neighbors: .* -> /) })
  expect(await written()).toEqual(orders)
  // The index itself is a model, too.
  const alone = join(directory, `alone-${kind}`)
  await index.save(alone)
  await using again = (await loadModel(alone)) as KeptIndex
  expect(again.numItems).toBe(3)
})
