// The environments that rivals run in. The joins', the judge's and the makers' of data: bench/.work/venv, pinned by bench/requirements.txt.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bench, work } from './paths.ts'

const folder = join(work, 'venv')
export const python: string = join(folder, 'bin', 'python')

function run(command: string, args: string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (result.status === 0) return
  const said = `${result.stdout}${result.stderr}`.trim().split('\n')
  throw new Error(result.error?.message ?? said.slice(-6).join('\n'))
}

export function ensurePython(warn: (text: string) => void): void {
  ensureEnvironment(folder, join(bench, 'requirements.txt'), warn)
}

/** Makes an environment where it is not what the requirements say. A rival that does not install is left out with a warning. */
export function ensureEnvironment(folder: string, listed: string, warn: (text: string) => void): void {
  const python = join(folder, 'bin', 'python')
  const requirements = readFileSync(listed, 'utf8')
  const hash = createHash('sha256').update(requirements).digest('hex')
  const stamp = join(folder, 'bench-requirements')
  if (existsSync(python) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  rmSync(folder, { recursive: true, force: true })
  warn(`installing the rivals into ${folder}`)
  run('python3', ['-m', 'venv', folder])
  const pip = (...args: string[]) => run(python, ['-m', 'pip', 'install', '--quiet', ...args])
  const [base, rivals] = requirements
    .split('# Rivals')
    .map((part) => part.split('\n').filter((line) => /^[\w-]+==/.test(line)))
  pip(...base!)
  for (const rival of rivals!) {
    try {
      pip(...base!, rival)
    } catch (error) {
      warn(`${rival} does not install here: ${(error as Error).message}`)
    }
  }
  writeFileSync(stamp, hash)
}

/** What pip has, by name; nothing where the environment was not made. */
export function installedVersions(): Record<string, string> {
  if (!existsSync(python)) return {}
  const listed = spawnSync(python, ['-m', 'pip', 'list', '--format', 'json', '--disable-pip-version-check'], {
    encoding: 'utf8',
  })
  const rows = JSON.parse(listed.stdout) as { name: string; version: string }[]
  return Object.fromEntries(rows.map(({ name, version }) => [name, version]))
}
