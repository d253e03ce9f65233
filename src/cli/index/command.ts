// nigh index: one command with commands of its own.
import { nearest, usageError } from '../arguments.ts'
import { type CommandHelp, commandHelp } from '../help.ts'
import type { CommandContext } from '../main.ts'
import { buildCommand, buildHelp } from './build.ts'
import { appendCommand, appendHelp, compactCommand, compactHelp, deleteCommand, deleteHelp } from './change.ts'
import { infoCommand, infoHelp, tuneCommand, tuneHelp, verifyCommand, verifyHelp } from './look.ts'
import { exportCommand, exportHelp, importCommand, importHelp } from './other.ts'
import { searchCommand, searchHelp } from './search.ts'

type Command = (args: readonly string[], context: CommandContext) => Promise<void>

const commands: Record<string, { run: Command; help: CommandHelp }> = {
  build: { run: buildCommand, help: buildHelp },
  search: { run: searchCommand, help: searchHelp },
  append: { run: appendCommand, help: appendHelp },
  delete: { run: deleteCommand, help: deleteHelp },
  compact: { run: compactCommand, help: compactHelp },
  info: { run: infoCommand, help: infoHelp },
  tune: { run: tuneCommand, help: tuneHelp },
  verify: { run: verifyCommand, help: verifyHelp },
  export: { run: exportCommand, help: exportHelp },
  import: { run: importCommand, help: importHelp },
}

export const indexHelp: CommandHelp = {
  summary: 'items that are indexed once and asked many times: built, searched, grown, kept on disk',
  usage: [`nigh index ${Object.keys(commands).join('|')} ...`],
  about: [
    'An index is a directory. Each command shows its own help: nigh index build --help',
    '',
    ...Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(10)} ${help.summary}`),
  ],
  flags: { help: { type: 'boolean', short: 'h', help: 'this text' } },
  examples: [
    ['nigh index build items.parquet --kind cluster --out items.index', 'an index of a table'],
    ['nigh index search items.index queries.parquet -k 10 --out neighbors.parquet', 'ten neighbors of each query'],
    [
      'nigh index search items.index queries.parquet --filter "country = \'FR\'" --out fr.parquet',
      'of some items only',
    ],
    ['nigh index append items.index new.parquet', 'more items; those with known ids take their places'],
  ],
}

export async function indexCommand(args: readonly string[], context: CommandContext): Promise<void> {
  const [name, ...rest] = args
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    if (name === undefined || name === '--help' || name === '-h') {
      return void context.stdout.write(`${commandHelp('index', indexHelp)}\n`)
    }
    const near = nearest(name, Object.keys(commands))
    const hint = near ? ` Did you mean ${near}?` : ''
    throw usageError(`there is no command nigh index ${JSON.stringify(name)}.${hint} See: nigh index --help`)
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    return void context.stdout.write(`${commandHelp(`index ${name}`, command.help)}\n`)
  }
  await command.run(rest, context)
}
