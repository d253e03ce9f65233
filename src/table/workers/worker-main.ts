// Runs in a worker thread: one function of one module, over tables.
import { parentPort, workerData } from 'node:worker_threads'
import type { Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { tableFromIpc, tableToIpc } from '../ipc.ts'
import { isTable } from '../steps/functions.ts'
import { type Answer, ownBytes, toSent, type Work } from './messages.ts'

const port = parentPort!
const { url, name } = workerData as { url: string; name: string }

try {
  const fn = await loaded()
  let before: Promise<void> = Promise.resolve()
  // One after the other, though messages wait.
  port.on('message', (work: Work) => {
    before = before.then(() => answer(fn, work))
  })
} catch (error) {
  port.postMessage({ error: toSent(error) } satisfies Answer)
}

async function loaded(): Promise<(table: Table) => unknown> {
  const fn = (await import(url))[name]
  if (typeof fn === 'function') return fn
  throw new NighError('FUNCTION_FAILED', `the module exports no function named ${JSON.stringify(name)}`)
}

async function answer(fn: (table: Table) => unknown, { id, ipc }: Work): Promise<void> {
  try {
    const made = await fn(tableFromIpc(ipc))
    if (!isTable(made)) throw new NighError('FUNCTION_FAILED', `the function gave ${made}, not a table`)
    const bytes = ownBytes(tableToIpc(made))
    port.postMessage({ id, ipc: bytes } satisfies Answer, [bytes.buffer])
  } catch (error) {
    port.postMessage({ id, error: toSent(error) } satisfies Answer)
  }
}
