// A dataset from a file to a file: filtered, embedded in worker threads, grouped, written in partitions. One table is in memory at a
// time, whatever the size of the files.
//
//     npm run build && npx tsc -b && node .build/examples/dataset/main.js
import { deepStrictEqual, ok } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, Float64, Int32, Int64, List, Schema, Utf8 } from 'apache-arrow'
import { fromIterable, readTable, tableFromRows, vectors, workerFunction } from 'nigh'
import { dim } from './embed.js'

const folder = await mkdtemp(join(tmpdir(), 'nigh-dataset-'))
try {
  // A table of products, written as it is made: 20 tables of 1,000 rows.
  const schema = new Schema([
    new Field('id', new Int64(), false),
    new Field('country', new Utf8(), false),
    new Field('title', new Utf8(), true),
    new Field('price', new Float64(), false),
    new Field('tags', new List(new Field('item', new Utf8(), true)), true),
  ])
  function* products() {
    for (let first = 0; first < 20_000; first += 1000) {
      yield tableFromRows(
        Array.from({ length: 1000 }, (_, i) => product(first + i)),
        schema,
      )
    }
  }
  const path = join(folder, 'products.parquet')
  const { rows } = await fromIterable(products, { schema }).write(path)
  console.log(`${rows} products written`)

  // Steps are lazy; the filter and the columns go down to the file.
  const cheap = (await readTable(path, { maxRecordsPerTable: 1000 }))
    .filter("country in ('FR', 'PT') and price < 10")
    .select(['id', 'country', 'title', 'price'])

  // A function of a module, in two worker threads: tables cross as memory that changes hands.
  const embedded = cheap.map(workerFunction(new URL('./embed.js', import.meta.url), 'embed'), {
    workers: 2,
    schema: new Schema([...(await cheap.schema()).fields, vectorField()]),
  })
  const out = join(folder, 'embedded')
  const written = await embedded.write(out, { partitionBy: ['country'] })
  console.log(`${written.rows} of them embedded, in ${written.files} files`)

  // Read again: the rows of each country as one table.
  const summary = (await readTable(out)).groupBy('country').map(
    (country, tables) => {
      const sums = new Float64Array(dim)
      let count = 0
      for (const table of tables) {
        const { values, numRows } = vectors(table, 'vector')
        for (let i = 0; i < values.length; i++) sums[i % dim]! += values[i]!
        count += numRows
      }
      return tableFromRows([{ country, count, center: [...sums].map((sum) => sum / count) }], summarySchema())
    },
    { schema: summarySchema() },
  )
  const found = await summary.toRows()
  for (const { country, count } of found) console.log(`${country}: ${count}`)

  const countries = found.map(({ country }) => country).sort()
  deepStrictEqual(countries, ['FR', 'PT'])
  ok(found.every(({ count }) => Number(count) > 0))
  ok(found.reduce((sum, { count }) => sum + Number(count), 0) === written.rows)
} finally {
  await rm(folder, { recursive: true })
}

function product(id: number) {
  const country = ['FR', 'PT', 'JP', 'BR'][id % 4]!
  const title = id % 17 === 0 ? null : `product ${id} of ${country}`
  return {
    id: BigInt(id),
    country,
    title,
    price: (id * 7919) % 100,
    tags: id % 3 === 0 ? null : ['new', `shelf ${id % 5}`],
  }
}

function vectorField(): Field {
  return new Field('vector', new FixedSizeList(dim, new Field('item', new Float32(), false)), false)
}

function summarySchema(): Schema {
  return new Schema([
    new Field('country', new Utf8(), false),
    new Field('count', new Int32(), false),
    new Field('center', new FixedSizeList(dim, new Field('item', new Float64(), false)), false),
  ])
}
