// One measurement in a process of its own: node task.js NAME [ARGUMENTS]. Its last line is JSON.
import { Bool, Field, Float64, Int32, Int64, Schema, Utf8 } from 'apache-arrow'
import { fromIterable, fromTables, readTable, tableFromRows, tableToRows, vectors, workerFunction } from 'nigh'
import { schemaOf, vectorTable, vectorTables } from './data.ts'

interface Used {
  cpu: number
  wall: number
}

async function used(work: () => Promise<void> | void): Promise<Used> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return { cpu: (user + system) / 1e6, wall: (performance.now() - wall) / 1e3 }
}

const tasks: Record<string, (...args: string[]) => Promise<object>> = {
  async make(path, rows, dim) {
    const tables = () => vectorTables(0, Number(rows), Number(dim))
    return fromIterable(tables, { schema: schemaOf(Number(dim)) }).write(path!)
  },

  /** The vectors of a Delta table, five times. */
  async read(path) {
    const seconds: number[] = []
    let total = 0
    for (let i = 0; i < 5; i++) {
      const found: Float32Array[] = []
      const { cpu } = await used(async () => {
        for await (const table of await readTable(path!, { columns: ['vector'] }))
          found.push(vectors(table, 'vector').values)
      })
      seconds.push(cpu)
      total = found.reduce((sum, values) => values.reduce((s, value) => s + value, sum), 0)
    }
    return { seconds, total }
  },

  /** The same by the reader of joins, which fills one matrix in native memory. */
  async matrix(path) {
    const { readVectors } = await import(new URL('../../../dist/table/read.js', import.meta.url).href)
    const seconds: number[] = []
    for (let i = 0; i < 5; i++) {
      const { cpu } = await used(async () => {
        const table = await readVectors(path!, { threads: 1, side: 'item' }, {})
        if (table.numRows !== 100_000) throw new Error(`${table.numRows} rows`)
        table.dispose()
      })
      seconds.push(cpu)
    }
    return { seconds }
  },

  /** A million rows of five columns to a table, and back. */
  async rows() {
    const schema = new Schema([
      new Field('id', new Int64(), false),
      new Field('name', new Utf8(), true),
      new Field('price', new Float64(), true),
      new Field('count', new Int32(), true),
      new Field('is_new', new Bool(), true),
    ])
    const row = (i: number) => ({
      id: BigInt(i),
      name: i % 7 ? `item ${i}` : null,
      price: i / 3,
      count: i % 100,
      is_new: i % 2 === 0,
    })
    const rows = Array.from({ length: 1_000_000 }, (_, i) => row(i))
    let table = tableFromRows(rows.slice(0, 1), schema)
    const to = await used(() => {
      table = tableFromRows(rows, schema)
    })
    let back: object[] = []
    const from = await used(() => {
      back = tableToRows(table)
    })
    if (back.length !== rows.length) throw new Error(`${back.length} rows came back`)
    return { toTable: to, toRows: from }
  },

  /** A function over 32 tables of 20,000 x 128; WORKERS 0 is this thread. */
  async map(workers) {
    const tables = Array.from({ length: 32 }, (_, i) => vectorTable(i * 20_000, 20_000, 128))
    const sum = workerFunction(new URL('./work.js', import.meta.url), 'sumOfPowers')
    const schema = new Schema([schemaOf(128).fields[0]!])
    const { sumOfPowers } = await import('./work.ts')
    const mapped =
      workers === '0'
        ? fromTables(tables).map(sumOfPowers, { schema })
        : fromTables(tables).map(sum, { workers: Number(workers), schema })
    return used(async () => {
      const rows = await mapped.count()
      if (rows !== 640_000) throw new Error(`${rows} rows`)
    })
  },

  /** ROWS rows appended to a Delta table in COMMITS commits. */
  async append(path, first, rows, commits, dim) {
    const each = Number(rows) / Number(commits)
    return used(async () => {
      for (let commit = 0; commit < Number(commits); commit++) {
        const tables = () => vectorTables(Number(first) + commit * each, each, Number(dim))
        await fromIterable(tables, { schema: schemaOf(Number(dim)) }).write(path!, { mode: 'append' })
      }
    })
  },

  async count(path) {
    return { rows: await (await readTable(path!)).count() }
  },

  async copy(from, to) {
    const spent = await used(async () => {
      await (await readTable(from!)).write(to!)
    })
    return { ...spent, peakMegabytes: process.resourceUsage().maxRSS / 1024 }
  },
}

const [name, ...args] = process.argv.slice(2)
const task = tasks[name ?? '']
if (!task) throw new Error(`tasks: ${Object.keys(tasks).join(', ')}`)
console.log(JSON.stringify(await task(...args)))
