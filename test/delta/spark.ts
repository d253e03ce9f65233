import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Where Spark keeps the jars of Delta Lake, which it fetches on its first start. */
const ivy = join(root, '.venv/ivy')

/** PySpark with Delta Lake in a process of its own. */
export class Spark {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  #stderr = ''

  private constructor(python: string, warehouse: string) {
    const script = fileURLToPath(new URL('spark_sql.py', import.meta.url))
    this.#child = spawn(python, [script, ivy, warehouse], { stdio: 'pipe', cwd: warehouse })
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
    this.#child.stderr!.on('data', (chunk) => {
      this.#stderr = (this.#stderr + chunk).slice(-4000)
    })
  }

  static async start(warehouse: string): Promise<Spark> {
    if (spawnSync('java', ['-version']).error) throw new Error('no java: Spark needs Java 17 or newer on the PATH')
    const python = process.env.NIGH_PYTHON ?? join(root, '.venv/bin/python')
    if (!existsSync(python)) throw new Error('no PySpark: node scripts/python-env.mjs')
    const spark = new Spark(python, warehouse)
    await spark.#answer()
    return spark
  }

  /** The rows of a statement. */
  sql(statement: string): Promise<Record<string, unknown>[]> {
    this.#child.stdin!.write(`${JSON.stringify(statement)}\n`)
    return this.#answer()
  }

  async #answer(): Promise<Record<string, unknown>[]> {
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`Spark ended: ${this.#stderr}`)
    const { rows, error } = JSON.parse(value)
    if (error !== undefined) throw new Error(error)
    return rows
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.on('exit', resolve))
    this.#child.stdin!.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(late)
  }
}
