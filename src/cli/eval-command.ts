import { type EvaluateOptions, type Evaluation, evaluate } from '../model/evaluate.ts'
import { columnOptions, isSet, number, parseArguments, text, usageError } from './arguments.ts'
import type { CommandHelp } from './help.ts'
import { outputFormat } from './inspect-command.ts'
import type { CommandContext } from './main.ts'

export const evalHelp: CommandHelp = {
  summary: 'the recall of a table of neighbors, against the exact answer',
  usage: ['nigh eval RESULT --queries Q --items I [options]', 'nigh eval RESULT --items I --self [options]'],
  about: [
    'RESULT: a table of neighbors of nigh join or of another tool, in either layout. Some of its queries are sampled and answered',
    'exactly, and the distances of its neighbors are computed again from their ids.',
  ],
  flags: {
    queries: { type: 'string', value: 'Q', help: 'the queries it was made from' },
    items: { type: 'string', value: 'I', help: 'the items it was made from' },
    self: { type: 'boolean', help: 'it is a self join of the items' },
    'include-self': { type: 'boolean', help: 'with --self: a row may be its own neighbor' },
    k: { type: 'string', short: 'k', value: 'N', help: 'neighbors asked for (as many as the result has at most)' },
    metric: { type: 'string', value: 'NAME', help: 'that it was made with (l2)' },
    'max-distance': { type: 'string', value: 'D', help: 'that it was made with' },
    sample: { type: 'string', value: 'N', help: 'queries to sample (1000)' },
    seed: { type: 'string', value: 'N', help: 'of the sample (0)' },
    id: { type: 'string', value: 'NAME', help: 'id column of both sides (id, or row numbers)' },
    'query-id': { type: 'string', value: 'NAME', help: 'of the queries' },
    'item-id': { type: 'string', value: 'NAME', help: 'of the items' },
    vector: { type: 'string', value: 'NAME', help: 'vector column of both sides (vector)' },
    'query-vector': { type: 'string', value: 'NAME', help: 'of the queries' },
    'item-vector': { type: 'string', value: 'NAME', help: 'of the items' },
    threads: { type: 'string', value: 'N', help: 'threads (all)' },
    format: { type: 'string', value: 'text|json', help: 'how to print it (text)' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['nigh eval neighbors.parquet --queries queries.parquet --items items.parquet', 'recall with its interval'],
    ['nigh eval near.parquet --items items.parquet --self --metric cosine --format json', 'a self join, for programs'],
  ],
}

export async function evalCommand(args: readonly string[], { signal, stdout }: CommandContext): Promise<void> {
  const parsed = parseArguments('eval', args, evalHelp.flags)
  const [result, extra] = parsed.positionals
  const [queries, items] = [text(parsed, 'queries'), text(parsed, 'items')]
  const self = isSet(parsed, 'self')
  if (result === undefined) throw usageError('which result? nigh eval RESULT --queries Q --items I')
  if (extra !== undefined) throw usageError(`one result at a time: ${extra} is a second`)
  if (items === undefined) throw usageError('--items I is required: the items that the result was made from')
  if (self && queries !== undefined) throw usageError('--self and --queries: a self join has no queries of its own')
  if (!self && queries === undefined) throw usageError('--queries Q is required (or --self for a self join)')
  const format = outputFormat(text(parsed, 'format'))
  const evaluation = await evaluate(result, self ? undefined : queries, items, {
    k: number(parsed, 'k'),
    metric: text(parsed, 'metric') as EvaluateOptions['metric'],
    sample: number(parsed, 'sample'),
    seed: number(parsed, 'seed'),
    maxDistance: number(parsed, 'max-distance'),
    includeSelf: isSet(parsed, 'include-self') || undefined,
    ...columnOptions(parsed),
    threads: number(parsed, 'threads'),
    signal,
  })
  stdout.write(format === 'json' ? `${JSON.stringify(evaluation, null, 2)}\n` : `${describe(evaluation)}\n`)
}

function describe(evaluation: Evaluation): string {
  const { recall, k, metric, rows } = evaluation
  const count = (n: number) => n.toLocaleString('en-US')
  const lines = [
    `recall@${k} (${metric}): ${recall.estimate.toFixed(4)}, 95 % interval [${recall.low.toFixed(4)}, ${recall.high.toFixed(4)}], ${count(recall.sampleSize)} of ${count(rows.result)} queries`,
  ]
  const faults: [number, string][] = [
    [evaluation.wrongDistances, 'distances are wrong by more than 1e-4'],
    [evaluation.selfPairs, 'rows are named as their own neighbor'],
    [evaluation.repeatedPairs, 'neighbors are named twice for a query'],
    [evaluation.repeatedQueries, 'queries stand in the result more than once'],
    [rows.queries - rows.result, 'queries are not in the result'],
    [evaluation.duplicateQueryIds, 'query rows have an id that a row before them has: the first row counts'],
    [evaluation.duplicateItemIds, 'item rows have an id that a row before them has: the first row counts'],
  ]
  for (const [n, what] of faults) if (n > 0) lines.push(`${count(n)} ${what}`)
  if (evaluation.missingDistances === evaluation.pairs && evaluation.pairs > 0)
    lines.push('the result states no distances')
  else if (evaluation.wrongDistances === 0) lines.push(`${count(evaluation.pairs)} distances checked`)
  return lines.join('\n')
}
