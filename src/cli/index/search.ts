import { formatSeconds } from '../../join/explain.ts'
import type { Effort } from '../../model/index-params.ts'
import type { IndexSearchOptions } from '../../model/index-search.ts'
import { isSet, list, number, outputMode, type Parsed, parseArguments, text, usageError } from '../arguments.ts'
import type { CommandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { COMMON, count, positionals, withIndex } from './opened.ts'

const USAGE = 'nigh index search DIR QUERIES --out OUT [options]'

export const searchHelp: CommandHelp = {
  summary: 'the neighbors of queries',
  usage: [USAGE],
  about: [
    'QUERIES: Parquet, Arrow IPC or Delta; a file, a directory, a quoted glob, or - for Arrow IPC on stdin.',
    'OUT: .parquet, .arrow, .feather, .ipc or .arrows by extension, delta:PATH, or - for an Arrow IPC stream on stdout.',
  ],
  flags: {
    out: { type: 'string', short: 'o', value: 'OUT', help: 'where the neighbors go' },
    k: { type: 'string', value: 'K', help: 'neighbors of each query (10)' },
    recall: { type: 'string', value: 'R', help: 'the fraction of the exact neighbors to find (0.95)' },
    effort: {
      type: 'string',
      value: 'N',
      help: "instead of a recall: cluster's lists, hnsw's ef, forest's searchK, lsh's probes a table",
    },
    filter: {
      type: 'string',
      value: 'SQL',
      help: 'only items for which it is true: "country = \'FR\' and price < 10"',
    },
    'max-distance': { type: 'string', value: 'D', help: 'only neighbors at this distance or nearer' },
    'exclude-self': { type: 'boolean', help: "leave out the item that has the query's own id" },
    columns: { type: 'string', value: 'A,B', help: 'item columns to carry into the neighbors' },
    'query-columns': { type: 'string', value: 'A,B', help: 'query columns to keep beside the ids' },
    'query-id': { type: 'string', value: 'COL', help: 'column of the ids of the queries (id)' },
    'query-vector': { type: 'string', value: 'COL', help: "column of their vectors (the items')" },
    layout: { type: 'string', value: 'nested|long', help: 'a list a query, or a row a neighbor (nested)' },
    mode: {
      type: 'string',
      value: 'MODE',
      help: 'if OUT exists: error, overwrite, or append to a Delta table (error)',
    },
    force: { type: 'boolean', help: 'replace an existing file: --mode overwrite' },
    ...COMMON,
  },
  examples: [
    ['nigh index search items.index queries.parquet -k 10 --recall 0.99 --out neighbors.parquet', 'at a recall'],
    ["nigh index search items.index queries.parquet --filter 'price < 10' --out cheap.parquet", 'of some items only'],
  ],
}

function effortOf(parsed: Parsed): Effort | undefined {
  const [recall, effort] = [number(parsed, 'recall'), number(parsed, 'effort')]
  if (recall !== undefined && effort !== undefined) throw usageError('--recall and --effort: give one of them')
  return effort ?? (recall === undefined ? undefined : { recall })
}

export async function searchCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index search', args, searchHelp.flags)
  const [path, queries] = positionals(parsed, USAGE, ['index', 'queries']) as [string, string]
  const out = text(parsed, 'out')
  if (out === undefined) throw usageError('--out OUT is required: where the neighbors go')
  if (out === '-' && context.stdout.isTTY)
    throw usageError('--out -: the result is binary; send it to a file or a program')
  const layout = text(parsed, 'layout')
  if (layout !== undefined && layout !== 'nested' && layout !== 'long') {
    throw usageError(`--layout ${layout}: must be nested or long`)
  }
  const effort = effortOf(parsed)
  const options: IndexSearchOptions = {
    k: number(parsed, 'k'),
    effort,
    maxDistance: number(parsed, 'max-distance'),
    filter: text(parsed, 'filter'),
    excludeSelf: isSet(parsed, 'exclude-self'),
    layout,
    columns: list(parsed, 'columns'),
    queryColumns: list(parsed, 'query-columns') ?? [],
    queryIdCol: text(parsed, 'query-id'),
    queryFeaturesCol: text(parsed, 'query-vector'),
    to: out,
    mode: outputMode(parsed),
  }
  const started = performance.now()
  await withIndex(path, parsed, context, async (index, call) => {
    const answer = await index.search(queries, { ...options, ...call })
    const tuned = index.efforts.find((one) => one.effort === answer.effort)
    const how =
      answer.effort === undefined
        ? 'exact'
        : tuned && typeof effort !== 'number'
          ? `effort ${count(answer.effort)}, recall ${tuned.estimate.toFixed(4)} [${tuned.low.toFixed(4)}, ${tuned.high.toFixed(4)}] on items`
          : `effort ${count(answer.effort)}`
    const took = formatSeconds((performance.now() - started) / 1000)
    return `${count(answer.numQueries)} queries x ${count(index.numItems)} items: ${how}, ${took} -> ${out}`
  })
}
