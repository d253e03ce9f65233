import { KeptIndex } from '../../model/kept-index.ts'
import { isSet, number, parseArguments, usageError } from '../arguments.ts'
import type { CommandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { progressLine } from '../terminal.ts'
import { COMMON, changingIndex, count, positionals, withIndex } from './opened.ts'

const INFO = 'nigh index info DIR [--json]'
const TUNE = 'nigh index tune DIR --recall R [-k K] [options]'
const VERIFY = 'nigh index verify DIR'

export const infoHelp: CommandHelp = {
  summary: 'what an index holds',
  usage: [INFO],
  about: [
    'Kind, metric, items, segments, and the efforts that were found for recalls. Reads ids and columns, no vectors.',
  ],
  flags: { json: { type: 'boolean', help: 'for programs' }, ...COMMON },
  examples: [['nigh index info items.index', 'in a few lines']],
}

export const tuneHelp: CommandHelp = {
  summary: 'finds the effort for a recall, on items that ask for others, and keeps it',
  usage: [TUNE],
  about: ['Searches for that recall and k then take it as it is. Appending and compacting make it be found anew.'],
  flags: {
    recall: { type: 'string', value: 'R', help: 'above 0 and up to 1' },
    k: { type: 'string', value: 'K', help: 'neighbors of each query (10)' },
    ...COMMON,
  },
  examples: [['nigh index tune items.index --recall 0.99', 'before a service starts']],
}

export const verifyHelp: CommandHelp = {
  summary: 'reads every byte: whether the index is as it was written',
  usage: [VERIFY],
  about: [
    'Opening an index reads little of it. What a failing disk or a copy broke is found here: CORRUPT_INDEX names the file.',
  ],
  flags: COMMON,
  examples: [['nigh index verify items.index', 'after a copy']],
}

export async function infoCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index info', args, infoHelp.flags)
  const [path] = positionals(parsed, INFO, ['index']) as [string]
  await withIndex(path, parsed, context, async (index) => {
    const { kind, metric, dim, numItems, idCol, efforts } = index
    const segments = index.stats()
    const facts = { kind, metric, dim, numItems, idCol, params: index.params.kind, efforts, segments }
    if (isSet(parsed, 'json')) context.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
    else context.stdout.write(`${lines(facts).join('\n')}\n`)
    return ''
  })
}

function lines({
  kind,
  metric,
  dim,
  numItems,
  efforts,
  segments,
}: Pick<KeptIndex, 'kind' | 'metric' | 'dim' | 'numItems' | 'efforts'> & {
  segments: Record<string, number>[]
}): string[] {
  return [
    `${kind} index of ${count(numItems)} items, ${dim} dimensions, ${metric}`,
    ...segments.map((facts, i) => {
      const rest = Object.entries(facts).filter(([name]) => name !== 'dim')
      return `  segment ${i + 1}: ${rest.map(([name, value]) => `${name} ${count(value)}`).join(', ')}`
    }),
    ...efforts.map(
      ({ k, recall, effort, estimate, low, high }) =>
        `  recall ${recall} at k ${k}: effort ${count(effort)}, measured ${estimate.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`,
    ),
  ]
}

export async function tuneCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index tune', args, tuneHelp.flags)
  const [path] = positionals(parsed, TUNE, ['index']) as [string]
  const recall = number(parsed, 'recall')
  if (recall === undefined) throw usageError(`which recall? ${TUNE}`)
  const k = number(parsed, 'k')
  await changingIndex(path, parsed, context, async (index, call) => {
    const tuned = await index.tune(recall, { ...(k === undefined ? {} : { k }), ...call })
    const { effort, estimate, low, high } = tuned
    return `recall ${recall} at k ${tuned.k}: effort ${count(effort)}, measured ${estimate.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}] -> ${path}`
  })
}

export async function verifyCommand(args: readonly string[], { signal, stderr }: CommandContext): Promise<void> {
  const parsed = parseArguments('index verify', args, verifyHelp.flags)
  const [path] = positionals(parsed, VERIFY, ['index']) as [string]
  const quiet = isSet(parsed, 'quiet')
  const progress = progressLine(stderr, quiet)
  try {
    await KeptIndex.verify(path, { signal, onProgress: progress.onProgress })
  } finally {
    progress.end()
  }
  if (!quiet) stderr.write(`${path}: every byte is as it was written\n`)
}
