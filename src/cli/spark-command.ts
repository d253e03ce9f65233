import { NighError } from '../errors.ts'
import { formatBytes } from '../join/explain.ts'
import { parseArguments, text, usageError } from './arguments.ts'
import type { CommandHelp } from './help.ts'
import type { CommandContext } from './main.ts'

export const sparkHelp: CommandHelp = {
  summary: 'whether a Spark cluster will do, and what is sent to it',
  usage: ['nigh spark doctor sc://HOST:PORT [--path DIR]', 'nigh spark pack [--out FILE] [--node FILE --addon FILE]'],
  about: [
    'doctor: looks at the server, Python and pyarrow of its workers, what nigh finds in tasks, and whether a directory is the same for this',
    'machine and for them. Says what to mend, and ends with status 1 if anything is.',
    'pack: makes the archive that sessions upload by themselves, and says what a node needs to run it.',
  ],
  flags: {
    path: { type: 'string', value: 'DIR', help: 'doctor: a directory of the storage that joins will use' },
    out: { type: 'string', short: 'o', value: 'FILE', help: 'pack: where to (a temporary file that is kept)' },
    node: { type: 'string', value: 'FILE', help: "pack: a Node of the nodes' platform (this one)" },
    addon: { type: 'string', value: 'FILE', help: 'pack: the addon for it (the one of this installation)' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['nigh spark doctor sc://spark:15002 --path /shared/tables', 'before the first join'],
    ['nigh spark pack --out worker.tar.gz', 'what a session would upload'],
  ],
}

export async function sparkCommand(args: readonly string[], { signal, stdout }: CommandContext): Promise<void> {
  const parsed = parseArguments('spark', args, sparkHelp.flags)
  const [what, url, extra] = parsed.positionals
  if (extra !== undefined) throw usageError(`spark: ${JSON.stringify(extra)} is one word too many`)
  if (what === 'pack' && url === undefined) {
    const { packWorker } = await import('../engine/spark/pack.ts')
    const pack = await packWorker({
      out: text(parsed, 'out'),
      node: text(parsed, 'node'),
      addon: text(parsed, 'addon'),
    })
    const { platform, arch, glibc, node, python } = pack.needs
    const lines = [
      `${pack.path}  ${formatBytes(pack.sizeBytes)}, unpacked as ${pack.folder}`,
      `made for ${platform}-${arch} (Node ${node})${glibc ? `; glibc ${glibc} is enough, as it is here` : ''}`,
      `the workers' Python: ${python}`,
    ]
    stdout.write(`${lines.join('\n')}\n`)
  } else if (what === 'doctor' && url !== undefined) {
    const { sparkDoctor } = await import('../model/spark/doctor.ts')
    const checks = await sparkDoctor(url, { path: text(parsed, 'path'), signal })
    for (const { what: name, ok, found, mend } of checks) {
      stdout.write(`${ok ? 'ok   ' : 'WRONG'} ${name.padEnd(14)} ${found}\n`)
      if (mend !== undefined) stdout.write(`      ${' '.repeat(14)} ${mend}\n`)
    }
    const wrong = checks.find(({ ok }) => !ok)
    if (wrong)
      throw new NighError(wrong.what === 'storage' ? 'SPARK_STORAGE' : 'SPARK_WORKER', `${wrong.what}: ${wrong.found}`)
  } else throw usageError('nigh spark doctor sc://HOST:PORT, or nigh spark pack')
}
