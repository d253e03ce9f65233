import type { Flags } from './arguments.ts'

export interface CommandHelp {
  summary: string
  usage: readonly string[]
  about: readonly string[]
  flags: Flags
  examples: readonly (readonly [command: string, what: string])[]
}

/** The help of one command: usage, what it does, options by group, examples. */
export function commandHelp(name: string, help: CommandHelp): string {
  const lines = [`nigh ${name}: ${help.summary}`, '', ...help.usage.map((usage) => `    ${usage}`), '', ...help.about]
  let group: string | undefined
  for (const [flag, { short, value, help: text, group: under = 'Options' }] of Object.entries(help.flags)) {
    if (under !== group) lines.push('', `${under}:`)
    group = under
    const dashed = flag.length === 1 ? `-${flag}` : `${short ? `-${short}, ` : ''}--${flag}`
    const left = value ? `${dashed} ${value}` : dashed
    lines.push(`  ${left.padEnd(26)} ${text}`)
  }
  lines.push('', 'Examples:')
  for (const [command, what] of help.examples) lines.push(`  # ${what}`, `  ${command}`)
  return lines.join('\n')
}

/** The help of nigh itself. */
export function mainHelp(version: string, commands: Record<string, CommandHelp>): string {
  return [
    `nigh ${version}: joins tables by nearest neighbors, at a measured recall`,
    '',
    ...Object.values(commands).flatMap(({ usage }) => usage.map((line) => `    ${line}`)),
    '',
    'Commands:',
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`),
    '',
    'nigh COMMAND --help tells more. First steps:',
    '  nigh inspect items.parquet',
    '  nigh join queries.parquet items.parquet -k 10 --out neighbors.parquet',
  ].join('\n')
}
