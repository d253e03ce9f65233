// The best movies for each user: factors of Spark ML's ALS, joined by inner product on a Spark cluster.
//
//     npm run build && npx tsc -b
//     .venv/bin/python examples/als/train.py /tmp/als
//     node .build/examples/als/main.js sc://localhost:15002 /tmp/als
import { join, resolve } from 'node:path'
import { Flat, Spark } from 'nigh'

const [url, folder] = process.argv.slice(2)
if (url === undefined || folder === undefined)
  throw new Error('main.js sc://HOST:PORT FOLDER, with what train.py wrote')
const at = (name: string) => join(resolve(folder), name)

await using spark = await Spark.connect(url)

// A factor is a vector under any name. The distance of `dot` is 1 - the inner product: smaller is nearer.
const estimator = new Flat({ metric: 'dot', featuresCol: 'features', k: 5, predictionCol: 'recommended' })
const movies = await estimator.fit(at('movies'), { spark, path: at('movies.model'), overwrite: true })
const best = await movies.transform(at('users'))
await best.select(['id', 'recommended']).write(at('recommendations'), { mode: 'overwrite' })

const read = spark.read(at('recommendations'))
console.log(`${movies.numItems} movies, ${await read.count()} users`)
for (const { id, recommended } of await read.sort('id').take(3).toRows()) {
  const found = recommended as { neighbor: number; distance: number }[]
  const told = found.map(({ neighbor, distance }) => `${neighbor} (${(1 - distance).toFixed(2)})`)
  console.log(`user ${id}: ${told.join(', ')}`)
}
