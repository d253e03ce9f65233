import { Worker } from 'node:worker_threads'
import { NighError } from '../../errors.ts'
import { type Answer, fromSent, ownBytes, type Work } from './messages.ts'
import { moduleUrl, shown, type WorkerFunction } from './worker-function.ts'

interface Waiting {
  resolve(ipc: Uint8Array): void
  reject(error: unknown): void
}

interface Member {
  worker: Worker
  waiting: Map<number, Waiting>
}

/** Worker threads that run one function. The first failure ends them all, and is what every call then fails with. */
export class WorkerPool {
  readonly #fn: WorkerFunction
  readonly #members: Member[]
  #nextId = 0
  #failure: { error: unknown } | undefined

  constructor(fn: WorkerFunction, numWorkers: number) {
    this.#fn = fn
    this.#members = Array.from({ length: numWorkers }, () => this.#started())
  }

  /** The function's table of a table, both as IPC bytes; by the worker with the least to do. The bytes may change hands. */
  run(ipc: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure.error)
      const member = this.#members.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a))
      const id = this.#nextId++
      member.waiting.set(id, { resolve, reject })
      const bytes = ownBytes(ipc)
      member.worker.postMessage({ id, ipc: bytes } satisfies Work, [bytes.buffer])
    })
  }

  /** Ends the workers, whatever they are at. */
  async close(error: unknown = new NighError('CANCELLED', 'the worker threads were ended')): Promise<void> {
    this.#fail(error)
    await Promise.all(this.#members.map(({ worker }) => worker.terminate()))
  }

  #started(): Member {
    const worker = new Worker(new URL('./worker-main.js', import.meta.url), {
      workerData: { url: moduleUrl(this.#fn), name: this.#fn.export },
      name: `nigh map ${this.#fn.export}`,
    })
    const member: Member = { worker, waiting: new Map() }
    worker.on('message', (answer: Answer) => {
      const waiting = answer.id === undefined ? undefined : member.waiting.get(answer.id)
      if ('ipc' in answer) {
        waiting?.resolve(answer.ipc)
        member.waiting.delete(answer.id)
      } else {
        // The call that failed hears of it first, and can say where it was.
        const error = fromSent(answer.error)
        waiting?.reject(error)
        this.#stop(error)
      }
    })
    // What the function did outside of its promise, memory that ran out, process.exit.
    worker.on('error', (error) => this.#stop(error))
    worker.on('exit', (code) => {
      this.#stop(
        new NighError('FUNCTION_FAILED', `a worker thread of ${shown(this.#fn)} ended with exit status ${code}`),
      )
    })
    return member
  }

  #stop(error: unknown): void {
    this.#fail(error)
    for (const { worker } of this.#members ?? []) void worker.terminate()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    for (const { waiting } of this.#members ?? []) {
      for (const { reject } of waiting.values()) reject(this.#failure.error)
      waiting.clear()
    }
  }
}
