// The program that Spark's tasks run: a function over the tables of one partition. Tables come on stdin and go to stdout.
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Binary, type Schema, Table, Utf8, vectorFromArray } from 'apache-arrow'
import { NighError } from '../../../errors.ts'
import { fromIterable, fromTables } from '../../../table/datasets.ts'
import { schemaToIpc, tableFromIpc, tableToIpc } from '../../../table/ipc.ts'
import type { TableFunction } from '../../../table/steps/functions.ts'
import type { GroupFunction } from '../../../table/steps/group.ts'
import { readFrames, writeFrame } from './frames.ts'
import { ERROR_COLUMN, ERROR_MARK, sentFailure, type Task, type TaskFunction } from './task.ts'

/** A function over all tables of a partition. */
export type StreamFunction = (tables: AsyncIterable<Table>, options: never) => AsyncIterable<Table>

const root = fileURLToPath(new URL('..', import.meta.url))
// What the function prints must not go among the tables.
const write = (bytes: Uint8Array) => writeFrame(process.stdout, bytes)
console.log = console.error

const frames = readFrames(process.stdin)
const task = JSON.parse((await frames.next()).value!.toString()) as Task

try {
  for await (const made of results()) {
    const done = task.learn && made.numCols > 0
    await write(tableToIpc(task.learn ? schemaRow(made.schema) : made))
    if (done) break
  }
} catch (error) {
  const json = JSON.stringify(sentFailure(error))
  if (task.errors === 'raise' || task.learn) {
    process.stderr.write(`${ERROR_MARK}${json}\n`, () => process.exit(3))
    await new Promise(() => {})
  }
  await write(tableToIpc(errorRow(json)))
}
await write(new Uint8Array(0))
process.stdout.end(() => process.exit(0))

async function* results(): AsyncGenerator<Table> {
  const { kind } = task
  const fn = await loaded(task.fn)
  if (kind.name === 'stream') {
    yield* (fn as StreamFunction)(tables(), kind.options as never)
  } else if (kind.name === 'map') {
    yield* fromIterable(pieces(kind.maxRecords)).map(fn as TableFunction)
  } else {
    const all = await collected()
    const dataset = fromTables([all], { maxRecordsPerTable: kind.maxRecords })
    yield* dataset.groupBy(kind.columns, { numPartitions: 1 }).map(fn as GroupFunction)
  }
}

async function* tables(): AsyncGenerator<Table> {
  for await (const frame of frames) yield tableFromIpc(frame)
}

/** Tables of at most so many rows, as full as can be; one of all rows for -1. */
async function* pieces(maxRecords: number): AsyncGenerator<Table> {
  if (maxRecords === -1) {
    yield await collected()
    return
  }
  let held: Table | undefined
  for await (const table of tables()) {
    held = held ? held.concat(table) : table
    let first = 0
    for (; held.numRows - first >= maxRecords; first += maxRecords) yield held.slice(first, first + maxRecords)
    held = held.slice(first)
  }
  if (held && held.numRows > 0) yield held
}

async function collected(): Promise<Table> {
  const all: Table[] = []
  for await (const table of tables()) all.push(table)
  return new Table(
    all[0]!.schema,
    all.flatMap(({ batches }) => batches),
  )
}

async function loaded(fn: TaskFunction): Promise<unknown> {
  if ('builtin' in fn) return (await import(new URL('./stages.js', import.meta.url).href))[fn.builtin]
  // Beside node_modules of the archive, where it finds nigh and apache-arrow.
  const folder = join(root, 'functions')
  const path = join(folder, `${fn.hash}.mjs`)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    const own = `${path}.${process.pid}`
    writeFileSync(own, fn.source)
    renameSync(own, path)
  }
  const found = (await import(pathToFileURL(path).href))[fn.export]
  if (typeof found === 'function') return found
  throw new NighError('FUNCTION_FAILED', `the module exports no function named ${JSON.stringify(fn.export)}`)
}

/** Only the column of the error: the shim fills in the others. */
function errorRow(json: string): Table {
  return new Table({ [ERROR_COLUMN]: vectorFromArray([json], new Utf8()) })
}

function schemaRow(schema: Schema): Table {
  return new Table({ schema: vectorFromArray([schemaToIpc(schema)], new Binary()) })
}
