import { spawnSync } from 'node:child_process'
import { availableParallelism, platform } from 'node:os'

const taskset = platform() === 'linux' && spawnSync('taskset', ['--version']).status === 0

/** The command held to as many cores as it may have threads; the last ones, as the first has the machine's interrupts. */
export function pinned(command: string, args: string[], threads: number): [command: string, args: string[]] {
  const cores = availableParallelism()
  if (!taskset || threads >= cores) return [command, args]
  return ['taskset', ['--cpu-list', `${cores - threads}-${cores - 1}`, command, ...args]]
}

/** What the libraries below the libraries read. */
export function threadEnvironment(threads: number): NodeJS.ProcessEnv {
  const names = ['OMP', 'OPENBLAS', 'MKL', 'NUMBA', 'RAYON', 'VECLIB_MAXIMUM', 'NUMEXPR']
  return Object.fromEntries(names.map((name) => [`${name}_NUM_THREADS`, `${threads}`]))
}
