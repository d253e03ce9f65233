import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** The program gave up, with its reason; or ran past its limit. */
export class EngineFailure extends Error {
  readonly over: boolean
  constructor(message: string, over = false) {
    super(message)
    this.over = over
  }
}

const running = new Set<ChildProcess>()
const killGroup = (child: ChildProcess) => {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}
process.on('exit', () => running.forEach(killGroup))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

/** A program that answers a line of JSON with a line of JSON. */
export class Conversation {
  readonly #child: ChildProcess
  readonly #ended: Promise<never>
  readonly #answers: AsyncIterator<string>
  #complaints = ''
  #timer: NodeJS.Timeout | undefined
  #over: number | undefined

  constructor(command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    // A group of its own: what the engine starts ends with it.
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child = child
    running.add(child)
    child.stderr!.on('data', (bytes) => {
      this.#complaints = (this.#complaints + bytes).slice(-2000)
    })
    child.stdin!.on('error', () => {})
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
    this.#ended = new Promise((_, reject) => {
      child.on('error', (error) => reject(new EngineFailure(error.message)))
      child.on('close', (code, signal) => {
        clearTimeout(this.#timer)
        running.delete(child)
        const last = this.#complaints.trim().split('\n').at(-1) ?? ''
        const over = this.#over !== undefined
        reject(new EngineFailure(over ? `over ${this.#over} s` : `ended with ${signal ?? code}: ${last}`, over))
      })
    })
    this.#ended.catch(() => {})
  }

  /** From now on it has so many seconds; then it is killed, and what was asked fails as over its limit. */
  limit(seconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#over = seconds
      killGroup(this.#child)
    }, seconds * 1000)
  }

  get alive(): boolean {
    return running.has(this.#child)
  }

  async ask<T>(request: object): Promise<T> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`)
    const next = this.#answers.next().then(({ value, done }) => (done ? this.#ended : value))
    const answer = JSON.parse(await Promise.race([next, this.#ended])) as T & { error?: string }
    if (answer.error !== undefined) throw new EngineFailure(answer.error)
    return answer
  }

  async close(): Promise<void> {
    this.#child.stdin!.end()
    const late = setTimeout(() => killGroup(this.#child), 5000)
    await this.#ended.catch(() => {})
    clearTimeout(late)
  }
}
