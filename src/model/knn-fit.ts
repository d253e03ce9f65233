// Items to a model: read from a table, from a saved model, or both.
import { join } from 'node:path'
import { type EngineCall, StageClock } from '../engine/engine.ts'
import type { UsualEffort } from '../engine/local/usual.ts'
import { invalidOption, NighError } from '../errors.ts'
import type { MemoryPlan } from '../join/memory.ts'
import type { NativeTable } from '../native.ts'
import type { TableInput } from '../table/source.ts'
import { appended } from './change-items.ts'
import { openSide, planned, prepareSpilling, readSide, tooSmallForModel } from './join-tables.ts'
import type { Fitted } from './knn-model.ts'
import { type KnnParams, knnParams, type NearestNeighborsOptions } from './knn-params.ts'
import { type Manifest, readDirectory } from './model-directory.ts'
import { buildItems } from './model-items.ts'
import { given } from './params.ts'

/** Reads items and makes them searchable. With `initialModelPath` they are appended to those of the saved model. */
export async function fitItems(options: NearestNeighborsOptions, input: TableInput, call: EngineCall): Promise<Fitted> {
  const params = knnParams(options)
  const clock = new StageClock()
  let { table, memory } = await readItemTable(input, params, clock, call)
  if (params.initialModelPath !== undefined) {
    const added = table
    try {
      const saved = await openSaved(params.initialModelPath)
      sameMetric(params.initialModelPath, saved.manifest, params)
      const old = (await readItemTable(saved.items, ofSaved(params, saved.manifest), clock, call)).table
      table = (await appended({ table: old, vectors: undefined }, added, call).finally(() => old.dispose())).merged
    } finally {
      added.dispose()
    }
    memory = memoryOf(table, params)
  }
  return { options, params, memory, items: await buildItems(table, params, memory, clock, call) }
}

/** Loads a saved model of these kinds. `changed` are params that the model is to have instead of those it was saved with. */
export async function loadFitted(
  path: string,
  kinds: readonly string[],
  changed: NearestNeighborsOptions,
  call: EngineCall,
): Promise<Fitted> {
  const { manifest, items } = await openSaved(path, kinds)
  const { numThreads, threads } = changed
  const saved = manifest.params as NearestNeighborsOptions
  const options = { ...saved, ...(numThreads === undefined ? {} : { threads: undefined }), ...given(changed) }
  if (threads !== undefined) options.numThreads = undefined
  const params = knnParams(options)
  sameMetric(path, manifest, params)
  const clock = new StageClock()
  const { table, memory } = await readItemTable(items, ofSaved(params, manifest), clock, call)
  const same = params.recall === knnParams(saved).recall && params.k === knnParams(saved).k
  const effort = same ? (manifest.facts.effort as (UsualEffort | null)[]) : undefined
  return { options, params, memory, items: await buildItems(table, params, memory, clock, call, effort) }
}

async function openSaved(
  path: string,
  kinds: readonly string[] = KNN_KINDS,
): Promise<{ manifest: Manifest; items: string }> {
  const { manifest, root } = await readDirectory(path)
  if (!kinds.includes(manifest.kind)) {
    throw new NighError('NOT_A_MODEL', `${path}: is a ${manifest.kind}, not a ${kinds.join(' or ')}`)
  }
  return { manifest, items: join(root, manifest.data, 'items.arrow') }
}

/** The models that hold items. */
export const KNN_KINDS: readonly string[] = ['NearestNeighborsModel', 'BruteForceModel']

/** The columns of the items as the model's file has them. */
function ofSaved(params: KnnParams, { facts }: Manifest): KnnParams {
  return { ...params, item: { ...params.item, idCol: facts.idCol as string }, rejects: undefined }
}

function sameMetric(path: string, { facts }: Manifest, params: KnnParams): void {
  if (facts.metric !== params.metric) {
    const made = facts.metric === 'custom' ? 'a function, which has to be given again' : facts.metric
    throw invalidOption('metric', `the model at ${path} was made for ${made}, not ${params.metric}`)
  }
}

async function readItemTable(
  input: TableInput,
  params: KnnParams,
  clock: StageClock,
  call: EngineCall,
): Promise<{ table: NativeTable; memory: MemoryPlan }> {
  const open = await openSide(input, params, 'item', call, itemColumns(params))
  const { size } = open.native
  // Partitions are copied out of the table: their vectors are there twice.
  const counted = isCopied(params) ? { ...size, givenBytes: size.givenBytes + (size.rows * size.rowBytes) / 2 } : size
  const memory = planned({ ...open, native: { size: counted, dispose() {} } }, undefined, params, [open])
  if (memory.way === 'blocks') {
    open.native.dispose()
    throw tooSmallForModel(memory)
  }
  prepareSpilling(memory)
  return { table: await readSide(open, memory, clock, call), memory }
}

/** The item columns that a model reads. */
export function itemColumns({ item, partitionCol }: KnnParams): string[] {
  return partitionCol === undefined ? item.columns : [...item.columns, partitionCol]
}

function isCopied({ partitionCol }: KnnParams): boolean {
  return partitionCol !== undefined
}

/** The memory of a model whose items are in memory already. */
export function memoryOf(table: NativeTable, params: KnnParams): MemoryPlan {
  const { numRows: rows, dim, rowBytes, isBits, isSparse, isOpen } = table
  const givenBytes = isCopied(params) ? (rows * rowBytes) / 2 : 0
  const size = { rows, dim, rowBytes, isBits, isSparse, isOpen, heldBytes: rows * 16, threadBytes: 0, givenBytes }
  const memory = planned({ input: '', native: { size, dispose() {} } }, undefined, params, [])
  if (memory.way === 'blocks') throw tooSmallForModel(memory)
  return memory
}
