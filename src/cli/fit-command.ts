import { formatSeconds } from '../join/explain.ts'
import { KnnModel } from '../model/knn-model.ts'
import { checkSavable } from '../model/model-directory.ts'
import { Pipeline, type PipelineModel } from '../model/pipeline.ts'
import { isSet, parseArguments, text, usageError } from './arguments.ts'
import { readJson } from './files.ts'
import type { CommandHelp } from './help.ts'
import type { CommandContext } from './main.ts'
import { progressLine } from './terminal.ts'

export const fitHelp: CommandHelp = {
  summary: 'items and a pipeline to a model that is asked many times',
  usage: ['nigh fit PIPELINE.json ITEMS --out MODEL [options]'],
  about: [
    'PIPELINE.json: stages, in the order in which a table goes through them, each with its params:',
    '',
    '    { "stages": [',
    '      { "kind": "Normalizer", "inputCol": "vector", "outputCol": "unit" },',
    '      { "kind": "NearestNeighbors", "featuresCol": "unit", "k": 10, "recall": 0.95 } ] }',
    '',
    'Kinds: NearestNeighbors (at a recall asked for), BruteForce (exact), Normalizer, VectorConverter, BucketedRandomProjectionLSH, and the',
    'indexes Flat, Cluster, Hnsw, Forest, Lsh (also: nigh index --help). A single stage does as well.',
    'ITEMS: Parquet, Arrow IPC or Delta; a file, a directory, a quoted glob, s3://..., or - for Arrow IPC on stdin.',
    'MODEL: a directory, which appears complete or not at all. Ask it with nigh transform.',
  ],
  flags: {
    out: { type: 'string', short: 'o', value: 'MODEL', help: 'where the model goes' },
    force: { type: 'boolean', help: 'replace a model that is there' },
    explain: { type: 'boolean', help: 'print the params of each stage, with what they do; run nothing' },
    quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['nigh fit pipeline.json items.parquet --out model', 'a model of the items'],
    ['nigh fit pipeline.json --explain', 'which params there are, and what they are now'],
  ],
}

export async function fitCommand(args: readonly string[], { signal, stderr, stdout }: CommandContext): Promise<void> {
  const parsed = parseArguments('fit', args, fitHelp.flags)
  const [description, items, extra] = parsed.positionals
  if (description === undefined) throw usageError('which pipeline? nigh fit PIPELINE.json ITEMS --out MODEL')
  const pipeline = Pipeline.from(readJson(description, 'pipeline'))
  if (isSet(parsed, 'explain')) return void stdout.write(`${pipeline.explainParams()}\n`)
  const out = text(parsed, 'out')
  if (items === undefined) throw usageError('which items? nigh fit PIPELINE.json ITEMS --out MODEL')
  if (extra !== undefined) throw usageError(`one table of items at a time: ${extra} is a second; quote globs`)
  if (out === undefined) throw usageError('--out MODEL is required: the directory where the model goes')
  const overwrite = isSet(parsed, 'force')
  await checkSavable(out, { overwrite })
  const quiet = isSet(parsed, 'quiet')
  const progress = progressLine(stderr, quiet)
  const started = performance.now()
  let model: PipelineModel | undefined
  try {
    model = await pipeline.fit(items, { signal, onProgress: progress.onProgress })
    progress.onProgress?.({ stage: 'write', done: 0, total: 0 })
    await model.save(out, { overwrite, signal })
  } finally {
    progress.end()
  }
  if (!quiet) stderr.write(`${summary(model, out, (performance.now() - started) / 1000)}\n`)
  await model[Symbol.asyncDispose]()
}

function summary({ stages }: PipelineModel, out: string, seconds: number): string {
  const what = stages.map((stage) =>
    stage instanceof KnnModel
      ? `${stage.kind} of ${stage.numItems.toLocaleString('en-US')} items, ${stage.dim} dimensions`
      : stage.kind,
  )
  return `${what.join(', ')}: ${formatSeconds(seconds)} -> ${out}`
}
