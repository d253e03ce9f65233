// JavaScript for the tasks: nigh itself once, and each function with what its module imports.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NighError } from '../../errors.ts'
import { moduleUrl, shown, type WorkerFunction } from '../../table/workers/worker-function.ts'
import type { TaskFunction } from './task/task.ts'

/** What functions import and the archive has: one copy, as tables are told by their class. */
const SHARED = ['apache-arrow', 'nigh']
const REQUIRE =
  "import { createRequire as nighRequire } from 'node:module'; const require = nighRequire(import.meta.url);"

export const packageRoot: string = fileURLToPath(new URL('../../..', import.meta.url))

export interface File {
  path: string
  bytes: Uint8Array
}

/** nigh as few files: `bundle/task.js`, and the packages that functions may import. */
export async function runtimeFiles(): Promise<File[]> {
  const { build } = await import('esbuild')
  const dist = join(packageRoot, 'dist')
  const { outputFiles } = await build({
    entryPoints: {
      task: join(dist, 'engine/spark/task/main.js'),
      stages: join(dist, 'model/spark/stages.js'),
      'apache-arrow': 'apache-arrow',
      nigh: join(dist, 'index.js'),
    },
    absWorkingDir: packageRoot,
    outdir: 'bundle',
    external: ['esbuild'],
    banner: { js: REQUIRE },
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    write: false,
    logLevel: 'silent',
  })
  const files = outputFiles.map(({ path, contents }) => ({ path: `bundle/${basename(path)}`, bytes: contents }))
  for (const name of SHARED) {
    files.push(
      { path: `node_modules/${name}/package.json`, bytes: Buffer.from('{"type":"module","exports":"./index.js"}\n') },
      {
        path: `node_modules/${name}/index.js`,
        bytes: Buffer.from(`export * from ${JSON.stringify(`../../bundle/${name}.js`)}\n`),
      },
    )
  }
  files.push({ path: 'package.json', bytes: Buffer.from('{"type":"module"}\n') })
  return files
}

/** A function of a module as one text: with all that the module imports but nigh, apache-arrow and Node's own. */
export async function bundledFunction(fn: WorkerFunction): Promise<TaskFunction> {
  const { build } = await import('esbuild')
  const path = fileURLToPath(moduleUrl(fn))
  try {
    readFileSync(path)
    const { outputFiles } = await build({
      entryPoints: [path],
      bundle: true,
      external: SHARED,
      banner: { js: REQUIRE },
      format: 'esm',
      platform: 'node',
      target: 'node20',
      write: false,
      logLevel: 'silent',
    })
    const source = outputFiles[0]!.text
    return { hash: createHash('sha256').update(source).digest('hex').slice(0, 16), source, export: fn.export }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new NighError('FUNCTION_FAILED', `${shown(fn)} cannot be packed for the cluster: ${message}`, { cause })
  }
}
