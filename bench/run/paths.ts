import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// This file runs as .build/bench/run/paths.js.
export const root: string = fileURLToPath(new URL('../../..', import.meta.url))
export const bench: string = join(root, 'bench')
export const work: string = join(bench, '.work')
/** Of this process alone: two runs may go on at once. */
export const scratch: string = join(work, 'run', `${process.pid}`)
export const record: string = join(bench, 'record')
