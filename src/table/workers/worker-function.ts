import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { invalidOption } from '../../errors.ts'

/** A function that worker threads can find: an export of a module. It takes a Table and gives one, or a promise of one. */
export interface WorkerFunction {
  /** A file: its URL, or its path. */
  module: URL | string
  export: string
}

/** The function that a module exports under a name: `workerFunction(import.meta.url, 'embed')`. */
export function workerFunction(module: URL | string, name: string): WorkerFunction {
  return { module, export: name }
}

export function isWorkerFunction(value: unknown): value is WorkerFunction {
  return typeof value === 'object' && value !== null && 'module' in value && 'export' in value
}

/** The URL of its module. */
export function moduleUrl({ module }: WorkerFunction): string {
  if (module instanceof URL) return module.href
  if (typeof module !== 'string') throw invalidOption('module', `must be a URL or a path, not ${module}`)
  return module.startsWith('file:') ? module : pathToFileURL(resolve(module)).href
}

/** How messages name it. */
export function shown(fn: WorkerFunction): string {
  const url = moduleUrl(fn)
  return `${fn.export} of ${url.startsWith('file:') ? fileURLToPath(url) : url}`
}
