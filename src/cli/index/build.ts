import { checkDirectory } from '../../indexes/index-directory.ts'
import { formatSeconds } from '../../join/explain.ts'
import { Cluster, Flat, Forest, Hnsw, Lsh } from '../../model/index-estimators.ts'
import type { AnyIndexOptions } from '../../model/index-params.ts'
import type { KeptIndex } from '../../model/kept-index.ts'
import { isSet, list, number, type Parsed, parseArguments, text, usageError } from '../arguments.ts'
import type { CommandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { progressLine } from '../terminal.ts'
import { COMMON, count, positionals } from './opened.ts'

const USAGE = 'nigh index build ITEMS --kind KIND --out DIR [options]'
const KINDS = ['flat', 'cluster', 'hnsw', 'forest', 'lsh'] as const
type Kind = (typeof KINDS)[number]

export const buildHelp: CommandHelp = {
  summary: 'an index of a table',
  usage: [USAGE],
  about: [
    'ITEMS: Parquet, Arrow IPC or Delta; a file, a directory, a quoted glob, s3://..., or - for Arrow IPC on stdin. All their columns are',
    'kept, for filters and results. DIR appears complete or not at all.',
    '',
    'Kinds:',
    '  flat      every item compared with every query: exact, no memory beyond codes',
    '  cluster   lists around centroids, scanned for batches of queries; l2, squared-l2, cosine, correlation, dot',
    '  hnsw      a graph that is walked: the fastest for few queries at a time; all metrics',
    "  forest    Annoy's trees of random planes; cosine, l2, l1, dot, and hamming of bits",
    '  lsh       hash tables: rows that share a hash are compared; l2, cosine, jaccard',
  ],
  flags: {
    kind: { type: 'string', value: 'KIND', help: KINDS.join(', ') },
    out: { type: 'string', short: 'o', value: 'DIR', help: 'where the index goes' },
    metric: { type: 'string', value: 'M', help: 'l2, cosine, dot, ... (l2); see nigh join --help' },
    id: { type: 'string', value: 'COL', help: 'column of the ids (id); numbers from 0 on where there is none' },
    vector: { type: 'string', value: 'COL', help: 'column of the vectors (vector)' },
    columns: { type: 'string', value: 'A,B', help: 'columns to keep (all)' },
    'num-lists': { type: 'string', value: 'N', help: 'cluster: lists (4 sqrt(items))' },
    codes: {
      type: 'string',
      value: 'C',
      help: 'cluster: int8, int4 or bit1: bits of a number of a row in its list (int8)',
    },
    m: {
      type: 'string',
      value: 'M',
      help: 'hnsw: most links of an item on the upper levels; twice as many below (16)',
    },
    'ef-construction': { type: 'string', value: 'N', help: 'hnsw: candidates that links are chosen from (200)' },
    'num-trees': { type: 'string', value: 'N', help: 'forest: trees (10)' },
    'num-hash-tables': { type: 'string', value: 'N', help: 'lsh: hash tables (1)' },
    'bucket-length': { type: 'string', value: 'W', help: 'lsh: width of a bucket, of l2 (1)' },
    'hash-family': {
      type: 'string',
      value: 'spark|offset',
      help: "lsh: Spark MLlib's, or floor((v.r + b) / w) (spark)",
    },
    'num-bits': { type: 'string', value: 'N', help: 'lsh: bits of a hash, of cosine (16)' },
    'on-invalid': { type: 'string', value: 'fail|drop', help: 'null, ragged or non-finite vectors (fail)' },
    seed: { type: 'string', value: 'N', help: 'of samples and clusters (0)' },
    force: { type: 'boolean', help: 'replace an index that is there' },
    ...COMMON,
  },
  examples: [
    ['nigh index build items.parquet --kind cluster --out items.index', 'lists of a table'],
    [
      'nigh index build items/ --kind flat --metric cosine --columns title,country --out exact.index',
      'exact, two columns',
    ],
  ],
}

function estimator(kind: Kind, parsed: Parsed): Estimator {
  const options: AnyIndexOptions = given({
    metric: text(parsed, 'metric') as AnyIndexOptions['metric'],
    idCol: text(parsed, 'id'),
    featuresCol: text(parsed, 'vector'),
    columns: list(parsed, 'columns'),
    onInvalid: text(parsed, 'on-invalid') as AnyIndexOptions['onInvalid'],
    seed: number(parsed, 'seed'),
    numThreads: number(parsed, 'threads'),
    numLists: number(parsed, 'num-lists'),
    codes: text(parsed, 'codes') as AnyIndexOptions['codes'],
    m: number(parsed, 'm'),
    efConstruction: number(parsed, 'ef-construction'),
    numTrees: number(parsed, 'num-trees'),
    numHashTables: number(parsed, 'num-hash-tables'),
    bucketLength: number(parsed, 'bucket-length'),
    hashFamily: text(parsed, 'hash-family') as AnyIndexOptions['hashFamily'],
    numBits: number(parsed, 'num-bits'),
  })
  const kinds = { flat: Flat, cluster: Cluster, hnsw: Hnsw, forest: Forest, lsh: Lsh }
  return new kinds[kind](options)
}

type Estimator = Flat | Cluster | Hnsw | Forest | Lsh

const given = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T

export async function buildCommand(args: readonly string[], { signal, stderr }: CommandContext): Promise<void> {
  const parsed = parseArguments('index build', args, buildHelp.flags)
  const [items] = positionals(parsed, USAGE, ['items']) as [string]
  const kind = KINDS.find((one) => one === text(parsed, 'kind'))
  if (!kind) throw usageError(`--kind: one of ${KINDS.join(', ')} is needed, not ${text(parsed, 'kind') ?? 'nothing'}`)
  const out = text(parsed, 'out')
  if (out === undefined) throw usageError('--out DIR is required: the directory where the index goes')
  const builder = estimator(kind, parsed)
  const overwrite = isSet(parsed, 'force')
  await checkDirectory(out, { overwrite })
  const quiet = isSet(parsed, 'quiet')
  const progress = progressLine(stderr, quiet)
  const started = performance.now()
  let index: KeptIndex | undefined
  try {
    index = await builder.fit(items, { signal, onProgress: progress.onProgress })
    progress.onProgress?.({ stage: 'write', done: 0, total: 0 })
    await index.save(out, { overwrite, signal })
  } finally {
    progress.end()
  }
  const seconds = (performance.now() - started) / 1000
  if (!quiet) {
    const what = `${kind} index of ${count(index.numItems)} items, ${index.dim} dimensions, ${index.metric}`
    stderr.write(`${what}: ${formatSeconds(seconds)} -> ${out}\n`)
  }
  await index[Symbol.asyncDispose]()
}
