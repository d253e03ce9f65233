// Indexes at rest: a directory of immutable files, and a manifest that names those that count. A change is new files and then one
// rename of the manifest: whoever reads sees all of it or nothing, and a process that is killed leaves files that nobody names.
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { NighError } from '../errors.ts'
import { type CallOptions, call, type Metric } from '../native.ts'
import { isAlive, syncDirectory, writingFailed } from './durable.ts'
import type { KindParams } from './kinds.ts'
import { disposeSegment, type FileFacts, type Segment } from './segment.ts'

const MANIFEST = 'index.json'
const LOCK = 'lock'
const FORMAT = 'nigh-index'
const VERSION = 1
const OURS = /^(segment|columns|deleted)-[0-9a-f]{16}\.(nigh|arrow|bits)$/

/** An effort that reached a recall on rows of the index. */
export interface TunedEffort {
  k: number
  recall: number
  effort: number
  estimate: number
  low: number
  high: number
}

/** A segment at rest. */
export interface SegmentFacts {
  index: FileFacts
  columns: FileFacts
  deleted: FileFacts | null
  numRows: number
  numDeleted: number
  /** Of an index in partitions: the one that its items are of, as text. */
  partition?: string | undefined
}

/** What all segments have in common. */
export interface IndexFacts {
  metric: Metric
  dim: number
  isBits: boolean
  idCol: string
  featuresCol: string
  /** The ids are numbers that nigh gave; the next one. */
  nextId: number | null
  params: KindParams
  efforts: TunedEffort[]
  /** What its estimator was to ask. Absent where nobody said. */
  asks?: { k: number; effort: number | { recall: number }; predictionCol: string } | undefined
  /** The column that the items are parted by, and that of the queries which says what each sees. */
  partitionCol?: string | undefined
  queryPartitionsCol?: string | undefined
}

/** An index at rest, its files not opened. */
export interface DirectoryFacts {
  facts: IndexFacts
  segments: SegmentFacts[]
  generation: number
}

interface Manifest extends IndexFacts {
  format: typeof FORMAT
  version: number
  /** Counts changes. */
  generation: number
  segments: SegmentFacts[]
}

export interface KeptDirectory {
  facts: IndexFacts
  segments: Segment[]
  generation: number
}

const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex')
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Whether a directory is an index, broken or not. */
export const isIndexDirectory = (path: string): boolean => existsSync(join(path, MANIFEST))

async function readManifest(path: string): Promise<Manifest> {
  const text = await readFile(join(path, MANIFEST), 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT' && cause.code !== 'ENOTDIR') {
      throw new NighError('FILE_UNREADABLE', `${path}: ${MANIFEST} cannot be read: ${cause.message}`, { cause })
    }
    const why = existsSync(path) ? `has no ${MANIFEST}` : 'there is nothing at this path'
    throw new NighError('NOT_AN_INDEX', `${path}: not an index: ${why}`, { cause })
  })
  const corrupt = (why: string, cause?: unknown) =>
    new NighError('CORRUPT_INDEX', `${path}: ${MANIFEST} ${why}: build the index again`, { cause })
  let parsed: Manifest & { sha256?: string }
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw corrupt('is not JSON: it was cut off or changed', cause)
  }
  if (typeof parsed !== 'object' || parsed === null || parsed.format !== FORMAT) {
    throw new NighError('NOT_AN_INDEX', `${path}: not an index: its ${MANIFEST} is not nigh's`)
  }
  if (!Number.isInteger(parsed.version) || parsed.version > VERSION) {
    const text = `${path}: an index of format ${parsed.version}; this nigh reads up to ${VERSION}: use a newer one`
    throw new NighError('INDEX_VERSION', text)
  }
  const { sha256: expected, ...manifest } = parsed
  if (digest(manifest) !== expected) throw corrupt('was changed')
  return manifest
}

/** What an index consists of; nothing but its manifest is read. */
export async function readDirectory(path: string): Promise<DirectoryFacts> {
  const { format: _, version: __, generation, segments, ...facts } = await readManifest(path)
  return { facts, segments, generation }
}

/** Opens an index: its manifest, ids and columns are read, its index files mapped. */
export async function openDirectory(path: string, options: CallOptions): Promise<KeptDirectory> {
  for (;;) {
    const { generation, segments: files, facts } = await readDirectory(path)
    const segments: Segment[] = []
    try {
      for (const file of files) segments.push(await openSegment(path, file, facts, options))
      return { facts, segments, generation }
    } catch (error) {
      for (const segment of segments) disposeSegment(segment)
      // Changed while it was read: what it names now is there.
      const now = await readManifest(path)
      if (now.generation === generation) throw error
    }
  }
}

/** Opens one segment of a directory. Errors: CORRUPT_INDEX. */
export async function openSegment(
  path: string,
  { index, columns, deleted, numRows, numDeleted, partition }: SegmentFacts,
  { dim, isBits }: Pick<IndexFacts, 'dim' | 'isBits'>,
  options: CallOptions,
): Promise<Segment> {
  for (const file of [index, columns, ...(deleted ? [deleted] : [])]) await checkSize(path, file)
  const bits = deleted ? new Uint8Array(await readFile(join(path, deleted.name))) : undefined
  if (deleted && sha256(bits!) !== deleted.sha256) throw corruptFile(path, deleted, 'was changed')
  const native = await call((addon) => addon.openIndex(join(path, index.name)), options)
  try {
    const table = await call((addon) => addon.readItemColumns(join(path, columns.name), dim, isBits), options)
    if (native.numRows !== numRows || table.numRows !== numRows) {
      table.dispose()
      throw corruptFile(path, columns, `has other rows than ${index.name}`)
    }
    return { native, columns: table, numRows, deleted: bits, numDeleted, files: { index, columns }, partition }
  } catch (error) {
    native.dispose()
    throw error
  }
}

const corruptFile = (path: string, { name }: FileFacts, why: string) =>
  new NighError('CORRUPT_INDEX', `${path}: ${name} ${why}: build the index again`)

async function checkSize(path: string, file: FileFacts): Promise<void> {
  const found = await stat(join(path, file.name)).catch(() => undefined)
  if (!found) throw corruptFile(path, file, 'is missing')
  if (found.size !== file.sizeBytes) {
    throw corruptFile(path, file, `has ${found.size} bytes where there were ${file.sizeBytes}`)
  }
}

/** Reads every byte of an index. Errors: CORRUPT_INDEX. */
export async function verifyDirectory(path: string, options: CallOptions): Promise<void> {
  const { segments } = await readManifest(path)
  for (const { index, columns, deleted } of segments) {
    for (const file of [columns, ...(deleted ? [deleted] : [])]) {
      await checkSize(path, file)
      if (sha256(await readFile(join(path, file.name))) !== file.sha256) throw corruptFile(path, file, 'was changed')
    }
    await checkSize(path, index)
    const native = await call((addon) => addon.openIndex(join(path, index.name)), options)
    await call((_, job) => native.verify(job), options).finally(() => native.dispose())
  }
}

/** Fails before the work where writing could only fail after it: INDEX_EXISTS, NOT_AN_INDEX where something else is in the way. */
export async function checkDirectory(
  path: string,
  { overwrite = false }: { overwrite?: boolean | undefined } = {},
): Promise<void> {
  const names = await readdir(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw new NighError('OUTPUT_UNWRITABLE', `${path}: cannot be written: ${cause.message}`, { cause })
  })
  if (names?.includes(MANIFEST)) {
    if (overwrite) return void (await readManifest(path).catch(refuseOthers))
    throw new NighError('INDEX_EXISTS', `${path}: there is an index; give another path, or overwrite it (--force)`)
  }
  if (names?.some((name) => name !== LOCK && !OURS.test(name))) {
    throw new NighError('NOT_AN_INDEX', `${path}: exists and is not an index: nigh replaces nothing but indexes`)
  }
}

function refuseOthers(error: unknown): void {
  if (error instanceof NighError && error.code === 'NOT_AN_INDEX') throw error
}

/**
 * Writes what the directory does not have yet, and makes it the index. `generation`: the one that the change was made from; undefined
 * for a new index. Gives the generation written. Errors: INDEX_CHANGED, INDEX_BUSY, DISK_FULL, OUTPUT_UNWRITABLE.
 */
export async function commitDirectory(
  path: string,
  facts: IndexFacts,
  segments: readonly Segment[],
  generation: number | undefined,
  options: CallOptions,
): Promise<number> {
  const written: SegmentFacts[] = []
  const next = await changing(path, generation, async () => {
    for (const segment of segments) written.push(await writeSegment(path, segment, options))
    return { ...facts, segments: written }
  })
  segments.forEach((segment, i) => {
    segment.files = { index: written[i]!.index, columns: written[i]!.columns }
  })
  return next
}

/**
 * The same of segments whose files are there or in `staged`, a directory of the same file system, from where they are moved. The files of the
 * segments before stay until the next change: what was started with them goes on.
 */
export async function commitStaged(
  path: string,
  staged: string,
  facts: IndexFacts,
  segments: readonly SegmentFacts[],
  generation: number | undefined,
): Promise<number> {
  return changing(path, generation, async (before) => {
    const there = namesOf(before)
    for (const name of namesOf(segments)) {
      if (!there.has(name) && existsSync(join(staged, name))) await rename(join(staged, name), join(path, name))
    }
    return { ...facts, segments: [...segments], before }
  })
}

/** One change of a directory: `write` puts the new files there, and says what the manifest has and whose files are to stay. */
async function changing(
  path: string,
  generation: number | undefined,
  write: (
    before: readonly SegmentFacts[],
  ) => Promise<IndexFacts & { segments: SegmentFacts[]; before?: readonly SegmentFacts[] }>,
): Promise<number> {
  const isNew = !existsSync(path)
  try {
    await mkdir(path, { recursive: true })
    const unlock = await lock(path)
    try {
      const current = existsSync(join(path, MANIFEST)) ? readManifest(path) : undefined
      // A broken one is to be replaced.
      const there = generation === undefined ? await current?.catch(() => undefined) : await current
      const last = there?.generation ?? 0
      if (generation !== undefined && last !== generation) {
        const text = `${path}: another process changed the index meanwhile: open it again, and repeat the change`
        throw new NighError('INDEX_CHANGED', text)
      }
      const { before = [], ...content } = await write(there?.segments ?? [])
      await writeManifest(path, { format: FORMAT, version: VERSION, generation: last + 1, ...content })
      await removeUnnamed(path, [...content.segments, ...before])
      return last + 1
    } catch (error) {
      // What this change wrote nobody names.
      if (!isNew) await removeUnnamed(path, (await readManifest(path).catch(() => undefined))?.segments ?? [])
      throw error
    } finally {
      await unlock()
    }
  } catch (error) {
    if (isNew) await rm(path, { recursive: true, force: true }).catch(() => {})
    throw writingFailed(path, error)
  }
}

const newName = (what: string, extension: string) => `${what}-${randomBytes(8).toString('hex')}.${extension}`

/** Writes a segment's files. What the directory has already is not written, nor read, again. */
export async function writeSegment(path: string, segment: Segment, options: CallOptions): Promise<SegmentFacts> {
  const { files, deleted, numRows, numDeleted, partition } = segment
  const isThere = files && existsSync(join(path, files.index.name)) && existsSync(join(path, files.columns.name))
  const { index, columns } = isThere ? files : await writeFiles(path, segment, options)
  const bits = deleted && numDeleted > 0 ? await writeDeleted(path, deleted) : null
  return { index, columns, deleted: bits, numRows, numDeleted, ...(partition === undefined ? {} : { partition }) }
}

/** Writes which rows of a segment are deleted. */
export async function writeDeleted(path: string, deleted: Uint8Array): Promise<FileFacts> {
  const name = newName('deleted', 'bits')
  await writeDurably(join(path, name), deleted)
  return { name, sizeBytes: deleted.length, sha256: sha256(deleted) }
}

async function writeFiles(
  path: string,
  { native, columns }: Segment,
  options: CallOptions,
): Promise<NonNullable<Segment['files']>> {
  const [index, table] = [newName('segment', 'nigh'), newName('columns', 'arrow')]
  const sizeBytes = await call(() => native.write(join(path, index)), options)
  await call((addon, job) => addon.writeItemColumns(join(path, table), columns, job), options)
  const bytes = await readFile(join(path, table))
  return {
    index: { name: index, sizeBytes },
    columns: { name: table, sizeBytes: bytes.length, sha256: sha256(bytes) },
  }
}

async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function writeManifest(path: string, manifest: Manifest): Promise<void> {
  const temporary = join(path, `.${MANIFEST}.tmp`)
  await writeDurably(temporary, `${JSON.stringify({ ...manifest, sha256: digest(manifest) }, null, 1)}\n`)
  await rename(temporary, join(path, MANIFEST))
  await syncDirectory(path)
}

/** Files of changes that nobody finished, and of those before: readers that have them open keep them. */
async function removeUnnamed(path: string, segments: readonly SegmentFacts[]): Promise<void> {
  const named = namesOf(segments)
  for (const name of await readdir(path)) {
    if ((OURS.test(name) || name.endsWith('.tmp')) && !named.has(name)) await rm(join(path, name), { force: true })
  }
}

/** The files of segments. */
export function namesOf(segments: readonly SegmentFacts[]): Set<string> {
  const files = segments.flatMap(({ index, columns, deleted }) => [index, columns, ...(deleted ? [deleted] : [])])
  return new Set(files.map(({ name }) => name))
}

/** One process changes an index at a time. The lock of a process that is gone does not count. */
async function lock(path: string): Promise<() => Promise<void>> {
  const file = join(path, LOCK)
  for (let tries = 0; ; tries++) {
    try {
      const held = await open(file, 'wx')
      await held.writeFile(String(process.pid))
      await held.close()
      return () => rm(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const pid = Number(await readFile(file, 'utf8').catch(() => ''))
    if (pid > 0 && !isAlive(pid)) await rm(file, { force: true })
    else if (tries >= LOCK_TRIES) {
      const text = `${path}: process ${pid || 'unknown'} is changing the index: wait for it, or remove ${basename(file)} if there is none`
      throw new NighError('INDEX_BUSY', text)
    } else await new Promise((wake) => setTimeout(wake, LOCK_WAIT_MS))
  }
}

const LOCK_WAIT_MS = 100
const LOCK_TRIES = 300
