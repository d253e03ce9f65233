import { NighError } from '../errors.ts'
import { formatBytes, formatSeconds } from '../join/explain.ts'
import { readTable } from '../table/datasets.ts'
import type { WriteOptions, Written } from '../table/write.ts'
import { isSet, list, number, type Parsed, parseArguments, text, usageError } from './arguments.ts'
import type { CommandHelp } from './help.ts'
import type { CommandContext } from './main.ts'
import { rowsLine } from './terminal.ts'

const ROWS = 'What to take'
const OUTPUT = 'Output'

export const convertHelp: CommandHelp = {
  summary: 'a table in another form, or a part of it',
  usage: ['nigh convert IN OUT [options]'],
  about: [
    'IN: Parquet or Arrow IPC; a file, a directory, a quoted glob, s3://bucket/key, or - for Arrow IPC on stdin; or a Delta table: a',
    'directory with a _delta_log, delta:PATH, or delta:PATH@v3 for a version of it.',
    'OUT: a file by extension (.parquet, .arrow, .feather, .ipc, .arrows), a directory of files without one, a Delta table with',
    'delta: in front, or - for an Arrow IPC stream on stdout. It appears complete or not at all.',
    'SQL: an expression over the columns; quote it. Rows that the statistics of files and row groups exclude are not read.',
  ],
  flags: {
    columns: { type: 'string', value: 'a,b', help: 'these columns, in this order (all)', group: ROWS },
    filter: { type: 'string', value: 'SQL', help: 'the rows for which it holds (all)', group: ROWS },
    version: { type: 'string', value: 'N', help: 'of a Delta table (the latest)', group: ROWS },
    format: {
      type: 'string',
      value: 'NAME',
      help: 'parquet, arrow or delta (by OUT; a directory: parquet)',
      group: OUTPUT,
    },
    mode: {
      type: 'string',
      value: 'NAME',
      help: 'error, overwrite or append: where there is something at OUT (error)',
      group: OUTPUT,
    },
    'partition-by': {
      type: 'string',
      value: 'a,b',
      help: 'a directory for each value of these columns',
      group: OUTPUT,
    },
    quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors', group: OUTPUT },
    help: { type: 'boolean', short: 'h', help: 'this text', group: OUTPUT },
  },
  examples: [
    ['nigh convert items.arrow items.parquet', 'Arrow IPC to Parquet'],
    [
      `nigh convert items.parquet some.parquet --columns id,vector --filter "country = 'FR' and price < 10"`,
      'some columns of some rows',
    ],
    ["nigh convert 'day=*/*.parquet' by-country --partition-by country", 'many files to by-country/country=FR/...'],
    ['nigh convert new.parquet items/ --mode append', 'more rows for a directory of files'],
    ['nigh convert items.parquet delta:catalog --mode append', 'a new version of a Delta table'],
    ['nigh convert items.parquet - | nigh inspect -', 'between programs'],
  ],
}

export async function convertCommand(
  args: readonly string[],
  { signal, stderr, stdout }: CommandContext,
): Promise<void> {
  const parsed = parseArguments('convert', args, convertHelp.flags)
  const [from, to, extra] = parsed.positionals
  if (from === undefined) throw usageError('which table? nigh convert IN OUT')
  if (to === undefined) throw usageError(`where to? nigh convert ${from} OUT (.parquet, .arrow, a directory or -)`)
  if (extra !== undefined) throw usageError(`one table at a time: ${extra} is a third path; quote globs`)
  if (to === '-' && stdout.isTTY) throw usageError('OUT is -: the table is binary; send it to a file or a program')
  checkExtension(to)
  const filter = text(parsed, 'filter')
  const started = performance.now()
  const table = await readTable(from, {
    columns: list(parsed, 'columns'),
    filter,
    version: number(parsed, 'version'),
    signal,
  })
  const quiet = isSet(parsed, 'quiet')
  const progress = rowsLine(stderr, quiet, filter === undefined ? await table.count() : undefined)
  let written: Written
  try {
    written = await table.write(to, { ...writeOptions(parsed), signal, onProgress: progress.onProgress })
  } finally {
    progress.end()
  }
  if (!quiet) stderr.write(`${summary(written, to, (performance.now() - started) / 1000)}\n`)
}

/** A directory may be called anything, but who writes out.csv did not mean one. */
function checkExtension(to: string): void {
  const extension = /\.[a-z]\w*$/i.exec(to)?.[0]
  if (to.startsWith('delta:') || extension === undefined || /^\.(parquet|arrows?|feather|ipc)$/i.test(extension)) return
  const message = `${to}: ${extension} is no format that can be written; use .parquet, .arrow or .arrows, or end the path with / for a directory`
  throw new NighError('OUTPUT_FORMAT', message)
}

function writeOptions(parsed: Parsed): WriteOptions {
  return {
    format: text(parsed, 'format') as WriteOptions['format'],
    mode: text(parsed, 'mode') as WriteOptions['mode'],
    partitionBy: list(parsed, 'partition-by'),
  }
}

function summary({ rows, files, sizeBytes, version }: Written, to: string, seconds: number): string {
  const of = (n: number, what: string) => `${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`
  const made = version === undefined ? '' : `, version ${version}`
  return `${of(rows, 'row')}, ${of(files, 'file')}, ${formatBytes(sizeBytes)}${made}: ${formatSeconds(seconds)} -> ${to}`
}
