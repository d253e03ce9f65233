import { formatBytes } from '../join/explain.ts'
import { type Finding, type Inspection, inspectTable } from '../model/inspect.ts'
import { parseArguments, text, usageError } from './arguments.ts'
import type { CommandHelp } from './help.ts'
import type { CommandContext } from './main.ts'

export const inspectHelp: CommandHelp = {
  summary: 'what is in a table, and what a join would stumble over',
  usage: ['nigh inspect FILE [options]'],
  about: [
    'FILE: Parquet or Arrow IPC; a file, a directory, a quoted glob, s3://bucket/key, or - for Arrow IPC on stdin; or a Delta table:',
    'a directory with a _delta_log, delta:PATH, or delta:PATH@v3 for a version of it.',
  ],
  flags: {
    id: { type: 'string', value: 'NAME', help: 'id column (id, or the first that can be one)' },
    vector: { type: 'string', value: 'NAME', help: 'vector column (all of them)' },
    format: { type: 'string', value: 'text|json', help: 'how to print it (text)' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['nigh inspect items.parquet', 'schema, vectors, norms, duplicates, nulls and NaN'],
    ['nigh inspect items.parquet --format json | jq .vectors', 'the same for programs'],
  ],
}

export async function inspectCommand(args: readonly string[], { signal, stdout }: CommandContext): Promise<void> {
  const parsed = parseArguments('inspect', args, inspectHelp.flags)
  const [path, extra] = parsed.positionals
  if (path === undefined) throw usageError('which table? nigh inspect FILE')
  if (extra !== undefined) throw usageError(`one table at a time: ${extra} is a second; quote globs`)
  const format = outputFormat(text(parsed, 'format'))
  const inspection = await inspectTable(path, {
    idCol: text(parsed, 'id'),
    featuresCol: text(parsed, 'vector'),
    signal,
  })
  stdout.write(format === 'json' ? `${JSON.stringify(inspection, null, 2)}\n` : `${describe(inspection)}\n`)
}

export function outputFormat(format: string | undefined): 'text' | 'json' {
  if (format === undefined || format === 'text' || format === 'json') return format ?? 'text'
  throw usageError(`--format: must be text or json, not ${JSON.stringify(format)}`)
}

const count = (n: number) => n.toLocaleString('en-US')

function describe({ files, schema, rows, rowGroups, bytes, vectors, ids, notes }: Inspection): string {
  const lines = [
    `${count(rows)} rows, ${count(rowGroups)} row group${rowGroups === 1 ? '' : 's'}, ${formatBytes(bytes)}, ${count(files.length)} file${files.length === 1 ? '' : 's'}`,
    ...files
      .slice(0, 5)
      .map((f) => `  ${f.name}: ${f.format}, ${count(f.rows)} rows${f.compression ? `, ${f.compression}` : ''}`),
  ]
  if (files.length > 5) lines.push(`  and ${count(files.length - 5)} more`)
  lines.push('', 'Columns:')
  for (const { name, type, nullable } of schema) lines.push(`  ${name}: ${type}${nullable ? '' : ' not null'}`)
  if (ids) {
    lines.push(
      '',
      `Ids "${ids.column}": ${ids.type}, ${count(ids.duplicates)} duplicates${finding(', null', ids.nulls)}`,
    )
  } else lines.push('', 'Ids: no column can be one; row numbers would be used')
  for (const v of vectors) {
    lines.push('', `Vectors "${v.column}": ${v.kind}, dim ${v.dim}, ${count(v.validRows)} valid rows`)
    if (v.minNorm != null) lines.push(`  norms ${fixed(v.minNorm)} to ${fixed(v.maxNorm)}, mean ${fixed(v.meanNorm)}`)
    lines.push(`  ${count(v.duplicateVectors)} duplicates, ${count(v.zeroVectors)} zero vectors`)
    const findings = [
      finding('  null vectors', v.nullVectors),
      finding('  null elements', v.nullElements),
      finding('  NaN or infinite', v.nonFinite),
      finding('  of another length', v.ragged),
    ]
    lines.push(...findings.filter((text) => text !== ''))
    if (findings.every((text) => text === '')) lines.push('  no null, ragged or non-finite vectors: ready to join')
  }
  if (vectors.length === 0) lines.push('', 'Vectors: no column holds any')
  if (notes.length > 0) lines.push('', 'Notes:', ...notes.map((note) => `  ${note}`))
  return lines.join('\n')
}

function finding(what: string, { rows, first }: Finding): string {
  if (rows === 0) return ''
  return `${what}: ${count(rows)} rows${first ? `, first in ${first.file} row ${count(first.row)}` : ''}`
}

const fixed = (n: number | null) => (n == null ? '?' : Number(n.toPrecision(5)).toString())
