import type { Spark } from '../engine/spark/spark.ts'
import { formatBytes, formatSeconds } from '../join/explain.ts'
import { METRICS } from '../join/metric.ts'
import type { JoinOptions } from '../join/options.ts'
import type { JoinReport } from '../join/report.ts'
import { explainJoin, knnJoin, selfJoin } from '../model/knn-join.ts'
import type { SparkJoinOptions, SparkJoinReport, SparkPlanOptions } from '../model/spark/join.ts'
import type { SparkJoinProgress } from '../model/spark/run-context.ts'
import { columnOptions, isSet, list, number, type Parsed, parseArguments, text, usageError } from './arguments.ts'
import { checkWritable, readJson, writeFileAtomically } from './files.ts'
import type { CommandHelp } from './help.ts'
import type { CommandContext } from './main.ts'
import { progressLine } from './terminal.ts'

const FIND = 'What to find'
const COLUMNS = 'Columns'
const OUTPUT = 'Output'
const RUN = 'The run'

export const joinHelp: CommandHelp = {
  summary: 'the k nearest items of each query',
  usage: ['nigh join QUERIES ITEMS --out OUT [options]', 'nigh join ITEMS --self --out OUT [options]'],
  about: [
    'QUERIES and ITEMS: Parquet or Arrow IPC; a file, a directory, a quoted glob, s3://bucket/key, or - for Arrow IPC on stdin; or a',
    'Delta table: a directory with a _delta_log, delta:PATH, or delta:PATH@v3 for a version of it.',
    'OUT: .parquet, .arrow, .feather, .ipc or .arrows by extension, delta:PATH for a Delta table, or - for an Arrow IPC stream on',
    'stdout. It appears complete or not at all. Object stores take the usual AWS_* variables.',
  ],
  flags: {
    k: { type: 'string', short: 'k', value: 'N', help: 'neighbors of each query (10)', group: FIND },
    metric: {
      type: 'string',
      value: 'NAME',
      help: `${METRICS.join(', ')} (l2)`,
      group: FIND,
    },
    recall: {
      type: 'string',
      value: 'R',
      help: 'fraction of the exact neighbors to find; measured (0.95)',
      group: FIND,
    },
    exact: { type: 'boolean', help: 'all of them', group: FIND },
    'max-distance': { type: 'string', value: 'D', help: 'only neighbors at this distance or nearer', group: FIND },
    self: { type: 'boolean', help: 'join the items with themselves; a row is not its own neighbor', group: FIND },
    'include-self': { type: 'boolean', help: 'with --self: it is', group: FIND },
    id: { type: 'string', value: 'NAME', help: 'id column of both sides (id, or row numbers)', group: COLUMNS },
    'query-id': { type: 'string', value: 'NAME', help: 'of the queries', group: COLUMNS },
    'item-id': { type: 'string', value: 'NAME', help: 'of the items', group: COLUMNS },
    vector: { type: 'string', value: 'NAME', help: 'vector column of both sides (vector)', group: COLUMNS },
    'query-vector': { type: 'string', value: 'NAME', help: 'of the queries', group: COLUMNS },
    'item-vector': { type: 'string', value: 'NAME', help: 'of the items', group: COLUMNS },
    columns: { type: 'string', value: 'a,b', help: 'item columns to carry into the neighbors', group: COLUMNS },
    'query-columns': { type: 'string', value: 'a,b', help: 'query columns to carry', group: COLUMNS },
    out: { type: 'string', short: 'o', value: 'OUT', help: 'where the neighbors go', group: OUTPUT },
    layout: {
      type: 'string',
      value: 'nested|long',
      help: 'a row a query with a list, or a row a neighbor (nested)',
      group: OUTPUT,
    },
    force: { type: 'boolean', help: 'replace existing files: --mode overwrite', group: OUTPUT },
    mode: {
      type: 'string',
      value: 'MODE',
      help: 'if OUT exists: error, overwrite, or append to a Delta table (error)',
      group: OUTPUT,
    },
    report: {
      type: 'string',
      value: 'FILE',
      help: 'JSON: plan, rows, recall, seconds, memory, machine',
      group: OUTPUT,
    },
    'on-invalid': {
      type: 'string',
      value: 'fail|drop',
      help: 'null, ragged or non-finite vectors (fail)',
      group: OUTPUT,
    },
    rejects: { type: 'string', value: 'FILE', help: 'where dropped rows go (OUT.rejects.parquet)', group: OUTPUT },
    threads: { type: 'string', value: 'N', help: 'changes the time, never the answer (all)', group: RUN },
    seed: { type: 'string', value: 'N', help: 'of samples and clusters (0)', group: RUN },
    plan: { type: 'string', value: 'FILE', help: 'run the plan of a report again; choose nothing anew', group: RUN },
    memory: {
      type: 'string',
      value: 'SIZE',
      help: '512MB, 3GB, 2GiB; what does not fit is spilled (70% of what is free)',
      group: RUN,
    },
    tmp: { type: 'string', value: 'DIR', help: "temporary files (the system's directory)", group: RUN },
    engine: { type: 'string', value: 'NAME', help: 'local or spark (local)', group: RUN },
    spark: {
      type: 'string',
      value: 'URL',
      help: 'sc://host:port of its Connect server; OUT is a directory or delta:PATH that its tasks see, too',
      group: RUN,
    },
    tasks: { type: 'string', value: 'N', help: 'with --engine spark: most tasks (what the cluster runs)', group: RUN },
    partitions: {
      type: 'string',
      value: 'N',
      help: 'with --engine spark: of the items (what fits into the memory of a task)',
      group: RUN,
    },
    explain: { type: 'boolean', help: 'print the plan with its estimates; run nothing', group: RUN },
    quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors', group: RUN },
    help: { type: 'boolean', short: 'h', help: 'this text', group: RUN },
  },
  examples: [
    [
      'nigh join queries.parquet items.parquet -k 10 --recall 0.95 --out neighbors.parquet',
      'ten neighbors of each query',
    ],
    [
      'nigh join items.parquet --self --metric cosine --max-distance 0.1 --out near.parquet',
      'near duplicates within a table',
    ],
    [
      "nigh join 'day=*/*.parquet' items/ --columns title --layout long --out rows.arrow",
      'many files, a row a neighbor',
    ],
    ['nigh join queries.parquet items.parquet --explain', 'what it would do, and how long that takes'],
  ],
}

export async function joinCommand(args: readonly string[], { signal, stderr, stdout }: CommandContext): Promise<void> {
  const parsed = parseArguments('join', args, joinHelp.flags)
  const { queries, items } = inputs(parsed)
  const out = text(parsed, 'out')
  const reportPath = text(parsed, 'report')
  const onSpark = isOnSpark(parsed)
  if (isSet(parsed, 'explain')) {
    if (onSpark) return explainOnSpark(parsed, [queries, items], { ...joinOptions(parsed, out), signal }, stdout)
    const options = { ...joinOptions(parsed, out), signal }
    const { text: plan } = await explainJoin(queries ?? { self: true }, items, options)
    stdout.write(`${plan}\n`)
    return
  }
  if (out === undefined)
    throw usageError('--out OUT is required: where the neighbors go (.parquet, .arrow, .arrows or -)')
  const options = joinOptions(parsed, out)
  if (out === '-' && stdout.isTTY) throw usageError('--out -: the result is binary; send it to a file or a program')
  if (reportPath !== undefined) checkWritable(reportPath)
  if (onSpark) return joinOnSpark(parsed, [queries, items], { ...options, to: out, signal }, stderr)
  const progress = progressLine(stderr, isSet(parsed, 'quiet'))
  const call = { ...options, to: out, signal, onProgress: progress.onProgress }
  const started = performance.now()
  let report: JoinReport
  try {
    const result = await (queries === undefined ? selfJoin(items, call) : knnJoin(queries, items, call))
    report = result.report
  } finally {
    progress.end()
  }
  report.seconds.total = (performance.now() - started) / 1000
  if (reportPath !== undefined) writeFileAtomically(reportPath, `${JSON.stringify(report, null, 2)}\n`)
  if (!isSet(parsed, 'quiet')) stderr.write(`${summary(report, out)}\n`)
}

function isOnSpark(parsed: Parsed): boolean {
  const engine = text(parsed, 'engine') ?? 'local'
  if (engine !== 'local' && engine !== 'spark') throw usageError(`--engine: local or spark, not ${engine}`)
  for (const name of ['spark', 'tasks', 'partitions']) {
    if (engine === 'local' && text(parsed, name) !== undefined) throw usageError(`--${name}: only with --engine spark`)
  }
  return engine === 'spark'
}

/** gRPC takes a while to load, and most commands do without. */
async function connected(parsed: Parsed, signal: AbortSignal | undefined): Promise<Spark> {
  const url = text(parsed, 'spark')
  if (url === undefined) throw usageError('--engine spark: which cluster? --spark sc://host:port')
  const { Spark } = await import('../engine/spark/spark.ts')
  return Spark.connect(url, { signal })
}

/** Options of the cluster alone. Tasks write no rejects: a file for them is only refused where it was asked for. */
function sparkOptions(parsed: Parsed): Pick<SparkPlanOptions, 'numTasks' | 'numPartitions' | 'rejects'> {
  return {
    numTasks: number(parsed, 'tasks'),
    numPartitions: number(parsed, 'partitions'),
    rejects: text(parsed, 'rejects'),
  }
}

async function explainOnSpark(
  parsed: Parsed,
  [queries, items]: [string | undefined, string],
  options: SparkPlanOptions,
  stdout: NodeJS.WriteStream,
): Promise<void> {
  const { explainSparkJoin } = await import('../model/spark/join.ts')
  const spark = await connected(parsed, options.signal)
  try {
    const { text: plan } = await explainSparkJoin(spark, queries, items, { ...options, ...sparkOptions(parsed) })
    stdout.write(`${plan}\n`)
  } finally {
    await spark[Symbol.asyncDispose]()
  }
}

async function joinOnSpark(
  parsed: Parsed,
  [queries, items]: [string | undefined, string],
  options: SparkJoinOptions,
  stderr: NodeJS.WriteStream,
): Promise<void> {
  const quiet = isSet(parsed, 'quiet')
  const { sparkJoin, sparkSelfJoin } = await import('../model/spark/join.ts')
  const spark = await connected(parsed, options.signal)
  const progress = progressLine(stderr, quiet)
  const onProgress = ({ phase, completedTasks: done, numTasks: total }: SparkJoinProgress) =>
    progress.onProgress?.({ stage: phase, done, total, unit: 'tasks' })
  const running = { ...options, ...sparkOptions(parsed), onProgress }
  let report: SparkJoinReport
  try {
    report = await (queries === undefined
      ? sparkSelfJoin(spark, items, running)
      : sparkJoin(spark, queries, items, running))
  } finally {
    progress.end()
    await spark[Symbol.asyncDispose]()
  }
  const reportPath = text(parsed, 'report')
  if (reportPath !== undefined) writeFileAtomically(reportPath, `${JSON.stringify(report, null, 2)}\n`)
  if (!quiet) stderr.write(`${sparkSummary(report)}\n`)
}

function sparkSummary(report: SparkJoinReport): string {
  const { rows, recall, method, strategy, numTasks, numPartitions, seconds, peakMemoryBytes, shuffledBytes, output } =
    report
  const count = (n: number) => n.toLocaleString('en-US')
  const interval = `[${recall.low.toFixed(4)}, ${recall.high.toFixed(4)}]`
  const how = method === 'exact' ? 'exact (recall 1)' : `recall ${recall.estimate.toFixed(4)} ${interval}`
  const took = `${formatSeconds(seconds.total)}, at most ${formatBytes(peakMemoryBytes)} a task`
  const parts = strategy === 'broadcast' ? '' : `, ${numPartitions} partitions, ${formatBytes(shuffledBytes)} shuffled`
  return `${count(rows.queries)} queries x ${count(rows.items)} items in ${numTasks} tasks${parts}: ${how}, ${took} -> ${output.path}`
}

function inputs({ positionals, values }: Parsed): { queries: string | undefined; items: string } {
  const [first, second, extra] = positionals
  if (values.self === true) {
    if (first === undefined) throw usageError('which table? nigh join ITEMS --self --out OUT')
    if (second !== undefined) throw usageError(`a self join has one table, but two are given: ${first} and ${second}`)
    for (const name of ['query-id', 'query-vector', 'query-columns']) {
      if (values[name] !== undefined && name !== 'query-columns')
        throw usageError(`--${name}: a self join has one table; use --${name.slice(6)}`)
    }
    return { queries: undefined, items: first }
  }
  if (first === undefined || second === undefined) {
    throw usageError('two tables are needed: nigh join QUERIES ITEMS --out OUT (or one with --self)')
  }
  if (extra !== undefined) throw usageError(`two tables are joined, but ${extra} is a third; quote globs`)
  if (first === '-' && second === '-') throw usageError('only one of the tables can be read from stdin')
  if (values['include-self'] === true) throw usageError('--include-self: only with --self')
  return { queries: first, items: second }
}

function joinOptions(parsed: Parsed, out: string | undefined): JoinOptions {
  const rejects = text(parsed, 'rejects')
  const onInvalid = text(parsed, 'on-invalid') as JoinOptions['onInvalid']
  const beside = out === undefined || out === '-' ? undefined : `${out.replace(/^delta:/, '')}.rejects.parquet`
  return {
    k: number(parsed, 'k'),
    metric: text(parsed, 'metric') as JoinOptions['metric'],
    recall: number(parsed, 'recall'),
    exact: isSet(parsed, 'exact') || undefined,
    maxDistance: number(parsed, 'max-distance'),
    includeSelf: isSet(parsed, 'include-self') || undefined,
    ...columnOptions(parsed),
    columns: list(parsed, 'columns'),
    queryColumns: list(parsed, 'query-columns'),
    layout: text(parsed, 'layout') as JoinOptions['layout'],
    onInvalid,
    rejects: rejects ?? (onInvalid === 'drop' ? beside : undefined),
    threads: number(parsed, 'threads'),
    seed: number(parsed, 'seed'),
    plan: planOption(parsed),
    memory: text(parsed, 'memory'),
    tmp: text(parsed, 'tmp'),
    force: isSet(parsed, 'force') || undefined,
    mode: text(parsed, 'mode') as JoinOptions['mode'],
  }
}

function planOption(parsed: Parsed): JoinOptions['plan'] {
  const path = text(parsed, 'plan')
  return path === undefined ? undefined : (readJson(path, 'plan') as JoinOptions['plan'])
}

/** Rows, recall, time, memory and where the result is, in a line or two. */
export function summary(
  { rows, recall, seconds, peakMemoryBytes, plan, rejected, duplicateItemIds }: JoinReport,
  out: string,
): string {
  const count = (n: number) => n.toLocaleString('en-US')
  const measured = `recall ${recall.estimate.toFixed(4)} [${recall.low.toFixed(4)}, ${recall.high.toFixed(4)}] on ${count(recall.sampleSize)} sampled queries`
  const how = plan.method === 'exact' ? 'exact (recall 1)' : measured
  const lines = [
    `${count(rows.queries)} queries x ${count(rows.items)} items: ${how}, ${formatSeconds(seconds.total)}, ${formatBytes(peakMemoryBytes)} -> ${out}`,
  ]
  const dropped = rejected.queries + rejected.items
  if (dropped > 0)
    lines.push(`${count(dropped)} row${dropped === 1 ? '' : 's'} dropped${rejected.path ? ` -> ${rejected.path}` : ''}`)
  if (duplicateItemIds > 0) lines.push(`note: ${count(duplicateItemIds)} items have an id that an item before them has`)
  return lines.join('\n')
}
