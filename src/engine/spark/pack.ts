// The archive that tasks run from: Node, nigh and its addon, under a name that tells its content.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { NighError } from '../../errors.ts'
import { type File, packageRoot, runtimeFiles } from './bundle.ts'
import { tar } from './tar.ts'

export interface Pack {
  path: string
  /** Where the archive's content lies in a task's directory. */
  folder: string
  sizeBytes: number
  /** What a node of the cluster must be. */
  needs: { platform: string; arch: string; glibc: string | undefined; node: string; python: string }
}

export interface PackOptions {
  /** Where to. Default: a file of the system's temporary directory that is kept. */
  out?: string | undefined
  /** A Node for the nodes of the cluster, where they are of another kind than this machine. */
  node?: string | undefined
  /** The addon for them. */
  addon?: string | undefined
}

/** Makes the archive, unless it is there already. */
export async function packWorker({ out, node = process.execPath, addon }: PackOptions = {}): Promise<Pack> {
  const native = addon ?? join(packageRoot, 'native/nigh.node')
  for (const path of [node, native]) {
    if (!existsSync(path)) throw new NighError('FILE_NOT_FOUND', `${path} does not exist: the archive needs it`)
  }
  const files: (File & { executable?: boolean })[] = [
    { path: 'bin/node', bytes: readFileSync(node), executable: true },
    { path: 'native/nigh.node', bytes: readFileSync(native) },
    ...(await runtimeFiles()),
  ]
  const hash = createHash('sha256')
  for (const { path, bytes } of files) hash.update(`${path}\n${bytes.length}\n`).update(bytes)
  const folder = `nigh-${hash.digest('hex').slice(0, 16)}`
  const path = out === undefined ? join(cacheDirectory(), `${folder}.tar.gz`) : resolve(out)
  if (out !== undefined || !existsSync(path)) {
    const packed = await promisify(gzip)(tar(files), { level: 1 })
    const own = `${path}.${process.pid}`
    try {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(own, packed)
      renameSync(own, path)
    } catch (cause) {
      rmSync(own, { force: true })
      throw new NighError('OUTPUT_UNWRITABLE', `${path} cannot be written`, { cause })
    }
  }
  return { path, folder, sizeBytes: statSync(path).size, needs: needs(node) }
}

function needs(node: string): Pack['needs'] {
  const here = node === process.execPath
  const told = here ? process.version : execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
  return {
    platform: process.platform,
    arch: process.arch,
    // The addon was linked here: what is here is enough, and less may be.
    glibc: report?.header?.glibcVersionRuntime,
    node: told,
    python: '3.9 or newer with pyarrow 15 or newer',
  }
}

function cacheDirectory(): string {
  const { uid } = userInfo()
  return join(tmpdir(), `nigh-spark-${uid}`)
}
