// What the commands on an index have in common.
import type { EngineCall } from '../../engine/engine.ts'
import { NighError } from '../../errors.ts'

import { openIndex } from '../../model/index-estimators.ts'
import type { KeptIndex } from '../../model/kept-index.ts'
import { type Flags, isSet, number, type Parsed, usageError } from '../arguments.ts'
import type { CommandContext } from '../main.ts'
import { progressLine } from '../terminal.ts'

export const COMMON: Flags = {
  threads: { type: 'string', value: 'N', help: 'changes the time, never the answer (all)' },
  quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors' },
  help: { type: 'boolean', short: 'h', help: 'this text' },
}

/** The positional arguments by name; what is missing or too many is told with the usage. */
export function positionals(parsed: Parsed, usage: string, names: readonly string[]): string[] {
  const missing = names[parsed.positionals.length]
  if (missing !== undefined) throw usageError(`which ${missing}? ${usage}`)
  const extra = parsed.positionals[names.length]
  if (extra !== undefined) throw usageError(`${extra}: one argument too many; ${usage}; quote globs`)
  return parsed.positionals
}

/** Opens an index, works with it under a progress line, and writes what the work says of itself. */
export async function withIndex(
  path: string,
  parsed: Parsed,
  { signal, stderr }: CommandContext,
  work: (index: KeptIndex, call: EngineCall) => Promise<string>,
): Promise<void> {
  const quiet = isSet(parsed, 'quiet')
  const progress = progressLine(stderr, quiet)
  const call = { signal, onProgress: progress.onProgress }
  let said: string
  try {
    const index = await openIndex(path, { numThreads: number(parsed, 'threads'), ...call })
    try {
      said = await work(index, call)
    } finally {
      await index[Symbol.asyncDispose]()
    }
  } finally {
    progress.end()
  }
  if (!quiet && said !== '') stderr.write(`${said}\n`)
}

/** The same for work that changes the index, which is saved; repeated where another process changed it meanwhile. */
export async function changingIndex(
  path: string,
  parsed: Parsed,
  context: CommandContext,
  work: (index: KeptIndex, call: EngineCall) => Promise<string>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await withIndex(path, parsed, context, async (index, call) => {
        const said = await work(index, call)
        await index.save(undefined, call)
        return said
      })
    } catch (error) {
      if (!(error instanceof NighError) || error.code !== 'INDEX_CHANGED' || tries >= MOST_TRIES) throw error
    }
  }
}

const MOST_TRIES = 20

export const count = (n: number): string => n.toLocaleString('en-US')
