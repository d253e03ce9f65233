// Tables measured: npm run bench:tables -- [PARQUET], a large file to be copied into a Delta table. One line of JSON a measurement.
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describeMachine } from '../run/machine.ts'
import { bench, root, scratch, work } from '../run/paths.ts'
import { ensureEnvironment } from '../run/python.ts'

const script = join(root, '.build', 'bench', 'tables', 'task.js')
const parse = (text: string) => JSON.parse(text.trim().split('\n').at(-1)!)
const task = (...args: string[]) => parse(execFileSync(process.execPath, [script, ...args], { encoding: 'utf8' }))
const say = (name: string, result: object) => console.log(JSON.stringify({ name, ...result }))
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!

mkdirSync(scratch, { recursive: true })
try {
  const environment = join(work, 'tables-venv')
  ensureEnvironment(environment, join(bench, 'tables', 'requirements.txt'), console.error)
  const python = join(environment, 'bin', 'python')
  say('machine', describeMachine())
  const table = join(scratch, 'read')
  task('make', `delta:${table}`, '100000', '128')
  const ours = task('read', `delta:${table}`)
  const read = (script: string) => {
    const output = execFileSync(python, [join(bench, 'tables', script), table, 'vector'], { encoding: 'utf8' })
    const { seconds, total } = parse(output)
    if (ours.total !== total) throw new Error(`other vectors: ${ours.total}, ${total}`)
    return median(seconds)
  }
  const dataset = median(ours.seconds)
  const matrix = median(task('matrix', `delta:${table}`).seconds)
  const [deltalake, fastLshAnn] = [read('read_delta.py'), read('read_fast_lsh_ann.py')]
  say('Delta 100K x 128 to vectors, CPU s', { dataset, join: matrix, deltalake, fast_lsh_ann: fastLshAnn })
  say('as many times as fast', { deltalake: deltalake / dataset, fast_lsh_ann: fastLshAnn / dataset })

  say('1M rows to a table and back', task('rows'))
  for (const workers of ['0', '1', '2']) say(`map, ${workers} workers`, task('map', workers))

  const appended = `delta:${join(scratch, 'appended')}`
  const start = performance.now()
  const first = [0, 1, 2, 3].map((i) => ['append', appended, String(i * 250_000), '250000', '5', '64'])
  const all = await Promise.all(first.map((args) => promisify(execFile)(process.execPath, [script, ...args])))
  const wall = (performance.now() - start) / 1e3
  const cpu = all.reduce((sum, { stdout }) => sum + parse(stdout).cpu, 0)
  const { rows } = task('count', appended)
  say('append 1M x 64 by 4 processes, 5 commits each', { wall, cpu, rows })

  const large = process.argv[2]
  if (large) say(`${large.split('/').at(-1)} into a Delta table`, task('copy', large, `delta:${join(scratch, 'copy')}`))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
