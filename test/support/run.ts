import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tableFromIPC } from 'apache-arrow'
import { afterAll } from 'vitest'
import type { JoinReport } from '../../src/join/report.ts'

const root: string = fileURLToPath(new URL('../..', import.meta.url))
export const bin: string = join(root, 'dist/cli/main.js')

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  bytes: Buffer
}

/** Runs the real command line. */
export function nigh(args: readonly string[], options: { input?: Uint8Array; env?: Record<string, string> } = {}): Ran {
  if (!existsSync(bin)) throw new Error('dist/ is not built: npm run build')
  const ran = spawnSync(process.execPath, [bin, ...args], {
    input: options.input ?? '',
    env: { ...process.env, ...options.env },
    maxBuffer: 2 ** 30,
  })
  return result(ran)
}

function result({ status, stdout, stderr }: SpawnSyncReturns<Buffer>): Ran {
  return { code: status, stdout: stdout.toString(), stderr: stderr.toString(), bytes: stdout }
}

/** Starts the real command line and lets it run. */
export function nighStarted(args: readonly string[]): {
  child: ReturnType<typeof spawn>
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>
} {
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr!.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stderr }))
  })
  return { child, ended }
}

/** A directory that goes when the test file is done. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'nigh-test-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const python = [process.env.NIGH_PYTHON, join(root, '.venv/bin/python'), join(root, '.venv/Scripts/python.exe')].find(
  (path) => path !== undefined && existsSync(path),
)

/** Runs a script of test/fixtures with pyarrow at hand. */
export function runPython(script: string, ...args: string[]): string {
  if (!python) throw new Error('no Python with pyarrow: node scripts/python-env.mjs')
  const ran = spawnSync(python, [join(root, 'test/fixtures', script), ...args], { maxBuffer: 2 ** 28 })
  if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr}`)
  return ran.stdout.toString()
}

export const readReport = (path: string): JoinReport => JSON.parse(readFileSync(path, 'utf8'))

export interface Row {
  id: unknown
  neighbors: { neighbor: unknown; distance: number; [column: string]: unknown }[]
}

/** The rows of an Arrow IPC file or stream, nested layout, as plain objects. */
export function readRows(file: string | Uint8Array): Row[] {
  const table = tableFromIPC(typeof file === 'string' ? readFileSync(file) : file)
  return table.toArray().map((row) => {
    const { neighbors, ...rest } = row.toJSON()
    return { ...rest, neighbors: [...(neighbors ?? [])].map((n) => n.toJSON()) } as Row
  })
}

/** A nested result with numbers for ids, as flat arrays: fast enough for large tables. */
export interface FlatResult {
  /** One more than queries. */
  offsets: number[]
  neighbors: number[]
  distances: number[]
}

export function readFlat(ipc: Uint8Array): FlatResult {
  const flat: FlatResult = { offsets: [0], neighbors: [], distances: [] }
  for (const batch of tableFromIPC(ipc).batches) {
    const list = batch.getChild('neighbors')!.data[0]!
    const [ids, distances] = list.children[0]!.children
    const offsets = list.valueOffsets as Int32Array
    const base = flat.neighbors.length - offsets[0]!
    for (let i = 1; i <= batch.numRows; i++) flat.offsets.push(base + offsets[i]!)
    for (let i = offsets[0]!; i < offsets[batch.numRows]!; i++) {
      flat.neighbors.push(Number(ids!.values[i]))
      flat.distances.push(distances!.values[i])
    }
  }
  return flat
}
