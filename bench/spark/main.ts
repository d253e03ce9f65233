// Joins on Spark measured beside what PySpark users have for them: npm run bench:spark -- --help. bench/METHODOLOGY.md says what counts.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BucketedRandomProjectionLSH, Spark, sparkSelfJoin } from 'nigh'
import { describeMachine } from '../run/machine.ts'
import { scratch, work } from '../run/paths.ts'
import { type Options, parse } from './arguments.ts'
import { type Answer, type Session, startSession } from './session.ts'
import { markdown, type Run } from './table.ts'

const SEED = 42

interface Bench {
  options: Options
  session: Session
  runs: Run[]
}

interface Facts {
  threshold: number
  dim: number
}

const at = (name: string) => join(scratch, name)
let outputs = 0
const fresh = (name: string) => at(`${name}-${++outputs}`)

/** Seconds of a call of nigh's, which ends at the limit. */
async function clock(limitSeconds: number, task: (signal: AbortSignal) => Promise<unknown>): Promise<number> {
  const signal = AbortSignal.timeout(limitSeconds * 1e3)
  const start = performance.now()
  try {
    await task(signal)
  } catch (error) {
    throw signal.aborted ? new Error(`over the limit of ${limitSeconds} s`) : error
  }
  return (performance.now() - start) / 1e3
}

/** A run that fails is a run with a reason and no time. */
async function measure(
  bench: Bench,
  what: Pick<Run, 'part' | 'name'>,
  task: () => Promise<Partial<Run>>,
): Promise<Run> {
  let run: Run
  try {
    run = { ...what, ...(await task()) }
  } catch (error) {
    run = { ...what, failed: (error as Error).message.replaceAll(/[\s|]+/g, ' ').slice(0, 600) }
  }
  bench.runs.push(run)
  console.error(JSON.stringify(run))
  return run
}

const prepare = async ({ options, session }: Bench, rows: number): Promise<Facts> => {
  const npy = join(work, 'data', options.dataset, 'items.npy')
  const { threshold, dim } = await session.ask('prepare', { npy, rows, path: at(`items-${rows}.parquet`) })
  return { threshold: threshold!, dim: dim! }
}

/** One session of nigh: its first call uploads the worker. Where the judge finds too little, more is asked for. */
async function nighJoins(bench: Bench): Promise<void> {
  const { options, session } = bench
  const items = at(`items-${options.rows}.parquet`)
  await using spark = await Spark.connect(session.url)
  const call = (name: string, recall: number) =>
    measure(bench, { part: 'join', name }, async () => {
      const to = fresh('nigh')
      const seconds = await clock(options.limitSeconds, (signal) =>
        sparkSelfJoin(spark, items, { k: 10, metric: 'l2', recall, to, signal }),
      )
      return { seconds, setting: `recall ${recall}`, ...(await session.ask('score', { items, path: to })) }
    })
  await call('nigh, first call', options.recall)
  for (const more of [0, 0.01, 0.02]) {
    const asked = Number((options.recall + more).toFixed(4))
    const { recall } = await call('nigh, next call', asked)
    if (recall === undefined || recall >= options.recall || asked >= 0.98) break
  }
}

async function annoyJoin(bench: Bench): Promise<void> {
  const { options, session } = bench
  const [items, directory, limit] = [at(`items-${options.rows}.parquet`), scratch, options.limitSeconds]
  await measure(bench, { part: 'join', name: 'Annoy in PySpark' }, async () => {
    const tried: (Answer & { trees: number })[] = []
    for (const trees of options.trees) {
      const found = await session.ask('tune', { items, trees, target: options.recall, directory }, limit)
      tried.push({ ...found, trees })
    }
    const { trees, searchK } = tried.reduce((best, one) => (one.estimate! < best.estimate! ? one : best))
    const out = fresh('annoy')
    const { seconds, build } = await session.ask('annoy', { items, trees, searchK, out, directory }, limit)
    const setting = `${trees} trees, search_k ${searchK}`
    return { seconds: seconds!, build: build!, setting, tried, ...(await session.ask('score', { items, path: out })) }
  })
}

interface Buckets {
  bucketLength: number
  numHashTables: number
}

async function nighPairs(bench: Bench, { threshold, dim }: Facts, buckets: Buckets): Promise<void> {
  const { options, session } = bench
  const items = at(`items-${options.lshRows}.parquet`)
  await using spark = await Spark.connect(session.url)
  for (const [name, hashFamily] of [
    ['nigh, first call', 'spark'],
    ['nigh, next call', 'spark'],
    ['nigh, offset', 'offset'],
  ] as const) {
    await measure(bench, { part: 'pairs', name }, async () => {
      const out = fresh('pairs')
      const seconds = await clock(options.limitSeconds, async (signal) => {
        await using model = new BucketedRandomProjectionLSH({ ...buckets, hashFamily, seed: SEED }).createModel(dim)
        const pairs = await model.approxSimilarityJoin(items, items, threshold, { spark, distCol: 'distance', signal })
        await pairs.write(out, { signal })
      })
      return { seconds, setting: `hashFamily ${hashFamily}`, pairs: (await session.ask('count', { path: out })).pairs! }
    })
  }
}

/** Last: where it takes too long the session goes with it. */
async function mllibPairs(bench: Bench, { threshold }: Facts, buckets: Buckets): Promise<void> {
  const { options, session } = bench
  await measure(bench, { part: 'pairs', name: 'MLlib' }, async () => {
    const [items, out] = [at(`items-${options.lshRows}.parquet`), fresh('mllib')]
    const task = { items, threshold, ...buckets, seed: SEED, out }
    const { seconds } = await session.ask('mllib', task, options.limitSeconds)
    return { seconds: seconds!, setting: 'its hashes', pairs: (await session.ask('count', { path: out })).pairs! }
  })
}

/** Each comparison in a Spark of its own, as what went over its limit is ended with it. */
async function withSession(options: Options, runs: Run[], task: (bench: Bench) => Promise<object>) {
  const session = await startSession(at('spark'), options.sparkMemory)
  try {
    return { spark: session.version, ...(await task({ options, session, runs })) }
  } finally {
    await session.stop()
  }
}

async function main(options: Options): Promise<void> {
  const [started, machine, runs] = [new Date().toISOString(), describeMachine(), [] as Run[]]
  mkdirSync(scratch, { recursive: true })
  try {
    const joins = await withSession(options, runs, async (bench) => {
      const { dim } = await prepare(bench, options.rows)
      await nighJoins(bench)
      await annoyJoin(bench)
      return { dim }
    })
    const pairs = await withSession(options, runs, async (bench) => {
      const facts = await prepare(bench, options.lshRows)
      const buckets = { bucketLength: options.bucket * facts.threshold, numHashTables: options.numHashTables }
      await nighPairs(bench, facts, buckets)
      await mllibPairs(bench, facts, buckets)
      return { ...facts, ...buckets }
    })
    const record = { started, machine, options, joins, pairs, runs }
    if (options.out) writeFileSync(options.out, `${JSON.stringify(record, null, 1)}\n`)
    console.log(markdown(record))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

try {
  const options = parse(process.argv.slice(2))
  if (options) await main(options)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}
