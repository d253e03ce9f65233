import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { root } from './paths.ts'
import { installedVersions } from './python.ts'

/** What a record says of where it was made. */
export interface Machine {
  cpu: string
  cores: number
  /** Vector instructions that matter here. */
  features: string[]
  memoryBytes: number
  platform: string
  node: string
  versions: Record<string, string>
  commit: string
  /** Average over a minute when the run began: over 0 other work went on. */
  load: number
}

const git = (...args: string[]) => {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}

function features(): string[] {
  if (platform() !== 'linux') return []
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '))
  return ['avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx_vnni', 'asimd', 'asimddp'].filter((name) => flags.has(name))
}

export function describeMachine(): Machine {
  const dirty = git('status', '--porcelain', '--untracked-files=no') ? ' with changes' : ''
  const wanted = /^(?:annoy|faiss-cpu|hnswlib|numba|numpy|pyarrow|pynndescent|scalable-vs|scann)$/
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    features: features(),
    memoryBytes: totalmem(),
    platform: `${platform()} ${/^[\d.]+/.exec(release())?.[0] ?? ''} ${arch()}`,
    node: process.version,
    versions: Object.fromEntries(Object.entries(installedVersions()).filter(([name]) => wanted.test(name))),
    commit: `${git('rev-parse', '--short=12', 'HEAD') || 'unknown'}${dirty}`,
    load: Number(loadavg()[0]!.toFixed(2)),
  }
}
