import { readTable } from '../../table/datasets.ts'
import type { Ids } from '../../table/source.ts'
import { list, parseArguments, text, usageError } from '../arguments.ts'
import type { CommandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { COMMON, changingIndex, count, positionals } from './opened.ts'

const APPEND = 'nigh index append DIR ITEMS [options]'
const DELETE = 'nigh index delete DIR --ids 1,2,3 | --from TABLE [options]'
const COMPACT = 'nigh index compact DIR [options]'

export const appendHelp: CommandHelp = {
  summary: 'more items; those with ids that are there take their places',
  usage: [APPEND],
  about: [
    'ITEMS: a table with the columns of the first one. The index changes at once and as a whole: a process that is killed on the way',
    'leaves it as it was.',
  ],
  flags: COMMON,
  examples: [['nigh index append items.index new.parquet', 'items of today']],
}

export const deleteHelp: CommandHelp = {
  summary: 'items out of the index',
  usage: [DELETE],
  about: ['Deleted items are never found again; nigh index compact frees their room.'],
  flags: {
    ids: { type: 'string', value: 'A,B', help: 'ids of the items' },
    from: {
      type: 'string',
      value: 'TABLE',
      help: "a table of their ids: its column of the items' id column, or the first one",
    },
    ...COMMON,
  },
  examples: [
    ['nigh index delete items.index --ids 17,23', 'two items'],
    ['nigh index delete items.index --from gone.parquet', 'all that a table names'],
  ],
}

export const compactHelp: CommandHelp = {
  summary: 'one segment of all items that are not deleted: as fast and as small as a new index',
  usage: [COMPACT],
  about: ['Those who search the index meanwhile go on with what they opened.'],
  flags: COMMON,
  examples: [['nigh index compact items.index', 'after many appends or deletes']],
}

export async function appendCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index append', args, appendHelp.flags)
  const [path, items] = positionals(parsed, APPEND, ['index', 'items']) as [string, string]
  await changingIndex(path, parsed, context, async (index, call) => {
    const { added, replaced } = await index.append(items, call)
    return `${count(added)} items added, ${count(replaced)} replaced: ${count(index.numItems)} in ${path}`
  })
}

export async function deleteCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index delete', args, deleteHelp.flags)
  const [path] = positionals(parsed, DELETE, ['index']) as [string]
  const [ids, from] = [list(parsed, 'ids'), text(parsed, 'from')]
  if ((ids === undefined) === (from === undefined)) throw usageError(`which items? ${DELETE}`)
  await changingIndex(path, parsed, context, async (index, call) => {
    const named = ids ? idsOf(ids) : await idsFrom(from!, index.idCol, context.signal)
    const { deleted } = await index.delete(named, call)
    return `${count(deleted)} items deleted: ${count(index.numItems)} left in ${path}`
  })
}

/** Whole numbers where all are. */
function idsOf(ids: readonly string[]): Ids {
  return ids.every((id) => /^-?\d+$/.test(id)) ? ids.map(BigInt) : ids
}

async function idsFrom(path: string, idCol: string, signal: AbortSignal): Promise<Ids> {
  const table = await readTable(path, { signal })
  const schema = await table.schema()
  const name = schema.fields.find((field) => field.name === idCol)?.name ?? schema.fields[0]?.name
  if (name === undefined) throw usageError(`--from ${path}: has no column`)
  return (await table.select([name]).toTable()).getChild(name)!
}

export async function compactCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const parsed = parseArguments('index compact', args, compactHelp.flags)
  const [path] = positionals(parsed, COMPACT, ['index']) as [string]
  await changingIndex(path, parsed, context, async (index, call) => {
    await index.compact(call)
    return `${count(index.numItems)} items in one segment: ${path}`
  })
}
