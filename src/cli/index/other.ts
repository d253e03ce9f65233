import { checkDirectory } from '../../indexes/index-directory.ts'
import { importIndex } from '../../model/index-estimators.ts'
import { isSet, number, parseArguments, text, usageError } from '../arguments.ts'
import type { CommandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { COMMON, count, positionals, withIndex } from './opened.ts'

const EXPORT = 'nigh index export DIR FILE --format annoy|hnswlib'
const IMPORT = 'nigh index import FILE --format annoy|hnswlib --metric M --dim D --out DIR'

export const exportHelp: CommandHelp = {
  summary: "another program's file of an index",
  usage: [EXPORT],
  about: [
    'annoy: of a forest; its items are called by row numbers, or with --by-id by their ids, the numbers between being holes. hnswlib: of an hnsw index; by the ids where these are whole numbers. Where they are not',
    'called by their ids, ids and columns go to FILE.ids.arrow, row by row. An index that grew or shrank is compacted first.',
  ],
  flags: {
    format: { type: 'string', value: 'F', help: 'annoy (1.17) or hnswlib (0.8)' },
    'by-id': {
      type: 'boolean',
      help: 'annoy: item i is the one with id i; ids are whole numbers, and room is for all of them',
    },
    ...COMMON,
  },
  examples: [['nigh index export items.index items.ann --format annoy', "for Annoy's own programs"]],
}

export const importHelp: CommandHelp = {
  summary: "an index of another program's file",
  usage: [IMPORT],
  about: [
    'The file does not say its metric and dimension. Items keep the ids (Annoy) or labels (hnswlib) that they have there.',
  ],
  flags: {
    format: { type: 'string', value: 'F', help: 'annoy (1.17) or hnswlib (0.8)' },
    metric: {
      type: 'string',
      value: 'M',
      help: 'annoy: cosine (angular), l2, l1, dot, hamming; hnswlib: l2, squared-l2, cosine, dot',
    },
    dim: { type: 'string', value: 'D', help: 'numbers of a vector' },
    out: { type: 'string', short: 'o', value: 'DIR', help: 'where the index goes' },
    force: { type: 'boolean', help: 'replace an index that is there' },
    ...COMMON,
  },
  examples: [['nigh index import items.ann --format annoy --metric cosine --dim 25 --out items.index', 'from Annoy']],
}

function formatOf(value: string | undefined): 'annoy' | 'hnswlib' {
  if (value === 'annoy' || value === 'hnswlib') return value
  throw usageError(`--format: annoy or hnswlib is needed, not ${value ?? 'nothing'}`)
}

export async function exportCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index export', args, exportHelp.flags)
  const [path, file] = positionals(parsed, EXPORT, ['index', 'file']) as [string, string]
  const format = formatOf(text(parsed, 'format'))
  await withIndex(path, parsed, context, async (index, call) => {
    const { ids } = await index.export(format, file, { ...call, byId: isSet(parsed, 'by-id') })
    return `${count(index.numItems)} items -> ${file}${ids === undefined ? '' : `, their ids -> ${ids}`}`
  })
}

export async function importCommand(args: readonly string[], { signal, stderr }: CommandContext): Promise<void> {
  const parsed = parseArguments('index import', args, importHelp.flags)
  const [file] = positionals(parsed, IMPORT, ['file']) as [string]
  const format = formatOf(text(parsed, 'format'))
  const [metric, dim, out] = [text(parsed, 'metric'), number(parsed, 'dim'), text(parsed, 'out')]
  if (metric === undefined || dim === undefined || out === undefined) throw usageError(IMPORT)
  const overwrite = isSet(parsed, 'force')
  await checkDirectory(out, { overwrite })
  const numThreads = number(parsed, 'threads')
  const options = { format, metric: metric as 'l2', dim, signal, ...(numThreads === undefined ? {} : { numThreads }) }
  const index = await importIndex(file, options)
  await index.save(out, { overwrite, signal })
  if (!isSet(parsed, 'quiet')) {
    stderr.write(
      `${index.kind} index of ${count(index.numItems)} items, ${index.dim} dimensions, ${index.metric} -> ${out}\n`,
    )
  }
  await index[Symbol.asyncDispose]()
}
