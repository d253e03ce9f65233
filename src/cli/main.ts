#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { NighError } from '../errors.ts'
import { nearest, usageError } from './arguments.ts'
import { type CommandHelp, commandHelp, mainHelp } from './help.ts'

export interface CommandContext {
  signal: AbortSignal
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
}

const EXIT_FAILED = 1
const EXIT_USAGE = 2

type Command = (args: readonly string[], context: CommandContext) => Promise<void>
interface CommandModule {
  run: Command
  help: CommandHelp
}

/** Loaded when they are asked for: all of them take longer than a small join. */
const commands: Record<string, () => Promise<CommandModule>> = {
  join: async () => {
    const { joinCommand, joinHelp } = await import('./join-command.ts')
    return { run: joinCommand, help: joinHelp }
  },
  inspect: async () => {
    const { inspectCommand, inspectHelp } = await import('./inspect-command.ts')
    return { run: inspectCommand, help: inspectHelp }
  },
  eval: async () => {
    const { evalCommand, evalHelp } = await import('./eval-command.ts')
    return { run: evalCommand, help: evalHelp }
  },
  fit: async () => {
    const { fitCommand, fitHelp } = await import('./fit-command.ts')
    return { run: fitCommand, help: fitHelp }
  },
  transform: async () => {
    const { transformCommand, transformHelp } = await import('./transform-command.ts')
    return { run: transformCommand, help: transformHelp }
  },
  convert: async () => {
    const { convertCommand, convertHelp } = await import('./convert-command.ts')
    return { run: convertCommand, help: convertHelp }
  },
  index: async () => {
    const { indexCommand, indexHelp } = await import('./index/command.ts')
    return { run: indexCommand, help: indexHelp }
  },
  spark: async () => {
    const { sparkCommand, sparkHelp } = await import('./spark-command.ts')
    return { run: sparkCommand, help: sparkHelp }
  },
}

async function helps(): Promise<Record<string, CommandHelp>> {
  const loaded = Object.entries(commands).map(async ([name, load]) => [name, (await load()).help] as const)
  return Object.fromEntries(await Promise.all(loaded))
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}

async function dispatch(args: readonly string[], context: CommandContext): Promise<void> {
  const [name, ...rest] = args
  if (name === '--version' || name === '-V') return void context.stdout.write(`${version()}\n`)
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && rest.length === 0)) {
    return void context.stdout.write(`${mainHelp(version(), await helps())}\n`)
  }
  const asked = name === 'help' ? rest[0]! : name
  const load = Object.hasOwn(commands, asked) ? commands[asked] : undefined
  if (!load) {
    const near = nearest(asked, Object.keys(commands))
    throw usageError(
      `there is no command ${JSON.stringify(asked)}.${near ? ` Did you mean ${near}?` : ''} See: nigh --help`,
    )
  }
  const command = await load()
  // Its commands have helps of their own.
  const nested = asked === 'index' && name !== 'help'
  if (name === 'help' || (!nested && (rest.includes('--help') || rest.includes('-h')))) {
    return void context.stdout.write(`${commandHelp(asked, command.help)}\n`)
  }
  await command.run(rest, context)
}

/** Aborts on the first signal, exits at once on the second. Gives the exit code of the signal that came. */
function listenForSignals(controller: AbortController): () => number | undefined {
  let exitCode: number | undefined
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      if (exitCode !== undefined) process.exit(code)
      exitCode = code
      controller.abort(signal)
    })
  }
  return () => exitCode
}

async function main(): Promise<void> {
  const controller = new AbortController()
  const interrupted = listenForSignals(controller)
  // A closed pipe (`nigh inspect x | head`) is no failure of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  try {
    const { stdout, stderr } = process
    await dispatch(process.argv.slice(2), { signal: controller.signal, stdout, stderr })
  } catch (error) {
    const signaled = interrupted()
    // What the join held is freed by now; nobody waits for the rest after a Ctrl-C.
    if (signaled !== undefined) process.exit(signaled)
    process.exitCode = fail(error)
  }
}

function fail(error: unknown): number {
  if (!(error instanceof NighError)) {
    process.stderr.write(`error[INTERNAL]: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
    return EXIT_FAILED
  }
  process.stderr.write(`error[${error.code}]: ${error.message}\n`)
  return error.code === 'USAGE' || error.code === 'INVALID_OPTION' ? EXIT_USAGE : EXIT_FAILED
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main()
