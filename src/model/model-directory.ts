// A model at rest: a directory with a manifest and one directory of files, both complete or not there at all. What replaces a
// model is written beside it, and the manifest is renamed last: until then the old model is the one that is read.
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { NighError } from '../errors.ts'
import { isAlive, syncDirectory, writingFailed } from '../indexes/durable.ts'

const FORMAT = 'nigh-model'
const VERSION = 1
const MANIFEST = 'manifest.json'

/** A file of a model. */
export interface ModelFile {
  /** Path within the model, with slashes. */
  name: string
  sizeBytes: number
  sha256: string
}

/** What a model says of itself. */
export interface Manifest {
  format: typeof FORMAT
  version: number
  /** The class that reads it. */
  kind: string
  /** The params of the stage, as its constructor takes them. */
  params: Record<string, unknown>
  /** What else the kind needs. */
  facts: Record<string, unknown>
  /** The directory of the files, within the model. */
  data: string
  files: ModelFile[]
}

export interface SaveOptions {
  /** Replace a model that is there. */
  overwrite?: boolean | undefined
  signal?: AbortSignal | undefined
}

/**
 * Fails before the work where saving could only fail after it: MODEL_EXISTS, NOT_A_MODEL where something else is in the way,
 * OUTPUT_UNWRITABLE where the path leads through a file.
 */
export async function checkSavable(path: string, { overwrite = false }: SaveOptions): Promise<void> {
  await whatIsThere(resolve(path), path, overwrite)
}

type Content = Pick<Manifest, 'kind' | 'params' | 'facts'>

/**
 * Saves a model. `write` fills an empty directory and says what the manifest has. Errors: MODEL_EXISTS, NOT_A_MODEL where
 * something else is in the way, DISK_FULL, OUTPUT_UNWRITABLE.
 */
export async function saveDirectory(
  path: string,
  { overwrite = false }: SaveOptions,
  write: (directory: string) => Promise<Content>,
): Promise<void> {
  const target = resolve(path)
  const replaced = await whatIsThere(target, path, overwrite)
  const data = `data-${process.pid}-${randomBytes(4).toString('hex')}`
  // A new model is a directory that appears with one rename; in a directory that is there, the manifest's rename is that.
  const root = replaced ? target : join(dirname(target), `.${basename(target)}.${data}.tmp`)
  const own = replaced ? join(target, data) : root
  try {
    await mkdir(join(root, data), { recursive: true })
    const content = await write(join(root, data))
    const files = await describeFiles(root, data)
    await writeManifest(root, { format: FORMAT, version: VERSION, ...content, data, files })
    if (replaced) {
      await syncDirectory(root)
      await removeAbandoned(target, data)
    } else {
      await rename(root, target)
      await syncDirectory(dirname(target))
    }
  } catch (error) {
    await rm(own, { recursive: true, force: true }).catch(() => {})
    throw savingFailed(path, error)
  }
}

/** Whether a directory is there to be filled or replaced. */
async function whatIsThere(target: string, path: string, overwrite: boolean): Promise<boolean> {
  const found = await stat(target).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw new NighError('OUTPUT_UNWRITABLE', `${path}: cannot be written: ${cause.message}`, { cause })
  })
  if (!found) return false
  if (found.isDirectory() && existsSync(join(target, MANIFEST))) {
    if (overwrite) return true
    throw new NighError('MODEL_EXISTS', `${path}: there is a model; give another path, or overwrite it`)
  }
  if (found.isDirectory() && (await readdir(target)).every((name) => ours(name) !== undefined)) return true
  throw new NighError('NOT_A_MODEL', `${path}: exists and is not a model: nigh replaces nothing but models`)
}

/** The process that a directory of files was made by. */
function ours(name: string): number | undefined {
  const match = /^data-(\d+)-[0-9a-f]{8}$/.exec(name)
  return match ? Number(match[1]) : undefined
}

/** Removes the files of models before, but not those that another process is writing now. */
async function removeAbandoned(target: string, data: string): Promise<void> {
  for (const name of await readdir(target)) {
    const pid = ours(name)
    if (pid === undefined || name === data || (pid !== process.pid && isAlive(pid))) continue
    await rm(join(target, name), { recursive: true, force: true })
  }
}

async function describeFiles(root: string, data: string): Promise<ModelFile[]> {
  const entries = await readdir(join(root, data), { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const files: ModelFile[] = []
  for (const path of paths.sort()) {
    await syncFile(path)
    const { size } = await stat(path)
    files.push({ name: relative(root, path).split(sep).join('/'), sizeBytes: size, sha256: await sha256(path) })
  }
  for (const entry of entries) if (entry.isDirectory()) await syncDirectory(join(entry.parentPath, entry.name))
  await syncDirectory(join(root, data))
  return files
}

async function writeManifest(root: string, manifest: Manifest): Promise<void> {
  const text = JSON.stringify({ ...manifest, sha256: digest(manifest) }, null, 2)
  const temporary = join(root, `.${MANIFEST}.${manifest.data}`)
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(`${text}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(root, MANIFEST))
  await syncDirectory(root)
}

const digest = (manifest: Manifest) => createHash('sha256').update(JSON.stringify(manifest)).digest('hex')

function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  return new Promise((settle, reject) => {
    createReadStream(path, { highWaterMark: 1 << 20 })
      .on('error', reject)
      .on('data', (chunk) => hash.update(chunk))
      .on('end', () => settle(hash.digest('hex')))
  })
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.sync().finally(() => file.close())
}

/** Another process may have saved there meanwhile. */
function savingFailed(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EEXIST' || code === 'ENOTEMPTY') {
    return new NighError('MODEL_EXISTS', `${path}: a model appeared there meanwhile`, { cause: error })
  }
  return writingFailed(path, error)
}

/** Reads and checks a model: every file is there, with its size and checksum. */
export async function readDirectory(path: string): Promise<{ manifest: Manifest; root: string }> {
  const root = resolve(path)
  for (;;) {
    const manifest = await readManifest(root, path)
    try {
      await checkFiles(root, path, manifest)
      return { manifest, root }
    } catch (error) {
      // Replaced while it was read: the new one is there by now.
      const now = await readManifest(root, path)
      if (now.data === manifest.data) throw error
    }
  }
}

async function readManifest(root: string, path: string): Promise<Manifest> {
  const corrupt = (why: string, cause?: unknown) =>
    new NighError('CORRUPT_MODEL', `${path}: ${MANIFEST} ${why}: save the model again`, { cause })
  const text = await readFile(join(root, MANIFEST), 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
      const why = existsSync(root) ? 'has no manifest.json' : 'there is nothing at this path'
      throw new NighError('NOT_A_MODEL', `${path}: not a model: ${why}`, { cause })
    }
    throw new NighError('FILE_UNREADABLE', `${path}: ${MANIFEST} cannot be read: ${cause.message}`, { cause })
  })
  let parsed: Manifest & { sha256?: string }
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw corrupt('is not JSON: it was cut off or changed', cause)
  }
  if (typeof parsed !== 'object' || parsed === null || parsed.format !== FORMAT) {
    throw new NighError('NOT_A_MODEL', `${path}: not a model: its manifest.json is not nigh's`)
  }
  if (!(Number.isInteger(parsed.version) && parsed.version <= VERSION)) {
    const text = `${path}: a model of format ${parsed.version}; this nigh reads up to ${VERSION}: use a newer one`
    throw new NighError('MODEL_VERSION', text)
  }
  const { sha256: expected, ...manifest } = parsed
  if (digest(manifest) !== expected) throw corrupt('was changed')
  return manifest
}

async function checkFiles(root: string, path: string, { files }: Manifest): Promise<void> {
  for (const file of files) {
    const corrupt = (why: string) =>
      new NighError('CORRUPT_MODEL', `${path}: ${file.name} ${why}: save the model again`)
    const found = await stat(join(root, file.name)).catch(() => undefined)
    if (!found) throw corrupt('is missing')
    if (found.size !== file.sizeBytes) throw corrupt(`has ${found.size} bytes where there were ${file.sizeBytes}`)
    if ((await sha256(join(root, file.name))) !== file.sha256) throw corrupt('has changed since it was written')
  }
}
