import { formatSeconds } from '../join/explain.ts'
import type { IndexAnswer } from '../model/index-search.ts'
import { JoinResult } from '../model/join-result.ts'
import { loadModel } from '../model/pipeline.ts'
import { Transformer } from '../model/transformer.ts'
import { isSet, number, outputMode, parseArguments, text, usageError } from './arguments.ts'
import { checkWritable, writeFileAtomically } from './files.ts'
import type { CommandHelp } from './help.ts'
import { summary } from './join-command.ts'
import type { CommandContext } from './main.ts'
import { progressLine } from './terminal.ts'

export const transformHelp: CommandHelp = {
  summary: 'queries with the neighbors that a model finds for them',
  usage: ['nigh transform MODEL QUERIES --out OUT [options]'],
  about: [
    'MODEL: what nigh fit made, or save() from TypeScript: a model of neighbors, an index, or a pipeline that ends with one.',
    'QUERIES: Parquet, Arrow IPC or Delta; a file, a directory, a quoted glob, or - for Arrow IPC on stdin. Each of their columns is in',
    'the result, with one more: a list of neighbors and distances (unless the model was fitted with outputFormat minimal).',
    'OUT: .parquet, .arrow, .feather, .ipc or .arrows by extension, delta:PATH, or - for an Arrow IPC stream on stdout.',
  ],
  flags: {
    out: { type: 'string', short: 'o', value: 'OUT', help: 'where the result goes' },
    force: { type: 'boolean', help: 'replace an existing file: --mode overwrite' },
    mode: {
      type: 'string',
      value: 'MODE',
      help: 'what to do with an output that exists: error (default), overwrite, append (Delta tables)',
    },
    report: {
      type: 'string',
      value: 'FILE',
      help: 'JSON: plan, rows, recall, seconds, memory, machine; of an index, rows, effort and seconds',
    },
    threads: { type: 'string', value: 'N', help: 'changes the time, never the answer (all)' },
    memory: { type: 'string', value: 'SIZE', help: '512MB, 3GB, 2GiB (70% of what is free)' },
    tmp: { type: 'string', value: 'DIR', help: "temporary files (the system's directory)" },
    quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['nigh transform model queries.parquet --out neighbors.parquet', 'the neighbors of each query'],
    ['nigh transform model - --out - < queries.arrows > neighbors.arrows', 'between programs'],
  ],
}

export async function transformCommand(
  args: readonly string[],
  { signal, stderr, stdout }: CommandContext,
): Promise<void> {
  const parsed = parseArguments('transform', args, transformHelp.flags)
  const [path, queries, extra] = parsed.positionals
  const [out, report] = [text(parsed, 'out'), text(parsed, 'report')]
  if (path === undefined || queries === undefined) {
    throw usageError('a model and queries are needed: nigh transform MODEL QUERIES --out OUT')
  }
  if (extra !== undefined) throw usageError(`one table of queries at a time: ${extra} is a second; quote globs`)
  if (out === undefined)
    throw usageError('--out OUT is required: where the result goes (.parquet, .arrow, .arrows or -)')
  if (out === '-' && stdout.isTTY) throw usageError('--out -: the result is binary; send it to a file or a program')
  if (report !== undefined) checkWritable(report)
  const machine = { numThreads: number(parsed, 'threads'), memory: text(parsed, 'memory'), tmp: text(parsed, 'tmp') }
  const quiet = isSet(parsed, 'quiet')
  const progress = progressLine(stderr, quiet)
  const call = { signal, onProgress: progress.onProgress }
  const started = performance.now()
  let result: JoinResult | IndexAnswer
  try {
    const model = await loadModel(path, { ...machine, ...call })
    if (model instanceof Transformer) {
      throw usageError(`${path}: is a ${model.kind}; a model of neighbors is needed, or a pipeline that ends with one`)
    }
    result = await model.transformTo(out, queries, { ...call, mode: outputMode(parsed) })
    await model[Symbol.asyncDispose]()
  } finally {
    progress.end()
  }
  const seconds = (performance.now() - started) / 1000
  if (!(result instanceof JoinResult)) {
    const { numQueries, numNeighbors, effort } = result
    const count = (n: number) => n.toLocaleString('en-US')
    const how = effort === undefined ? 'exact' : `effort ${count(effort)}`
    const line = `${count(numQueries)} queries, ${count(numNeighbors)} neighbors: ${how}, ${formatSeconds(seconds)} -> ${out}`
    if (report !== undefined)
      writeFileAtomically(report, `${JSON.stringify({ numQueries, numNeighbors, effort, seconds }, null, 2)}\n`)
    if (!quiet) stderr.write(`${line}\n`)
    return
  }
  result.report.seconds.total = seconds
  if (report !== undefined) writeFileAtomically(report, `${JSON.stringify(result.report, null, 2)}\n`)
  if (!quiet) stderr.write(`${summary(result.report, out)}\n`)
}
