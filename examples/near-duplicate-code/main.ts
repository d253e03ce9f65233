// Finds near-duplicate code in this project's own dependencies: a kNN self join of a few hundred thousand snippets.
//
//     npm run demo [-- --rows N] [--dir FOLDER]
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Data, type List, type Struct, tableFromIPC } from 'apache-arrow'
import { type Snippet, snippets } from './collect.js'
import { embed } from './embed.js'
import { findings, maxDistance, type Neighbors } from './findings.js'
import { bold, count, dim, heading, type JoinReport, printCost, printFindings } from './print.js'
import { writeArrow } from './table.js'

const dimension = 128
const windowSize = 6

const { values: flags } = parseArgs({
  options: { rows: { type: 'string', default: 'all' }, dir: { type: 'string', default: '.nigh-demo' } },
})
// This file runs as .build/examples/near-duplicate-code/main.js.
const root = fileURLToPath(new URL('../../..', import.meta.url))
process.chdir(root)
mkdirSync(flags.dir, { recursive: true })
const file = (name: string) => join(flags.dir, name)

heading('Near-duplicate code in node_modules')
const start = performance.now()
let rows: Snippet[] = [...snippets(join(root, 'node_modules'), windowSize)]
const limit = Number(flags.rows)
if (limit > 0 && limit < rows.length) {
  // Evenly spread, so that a small run still meets every package.
  rows = Array.from({ length: limit }, (_, i) => rows[Math.floor((i * rows.length) / limit)]!)
}
const packages = new Set(rows.map((row) => row.package)).size
console.log(`  ${count(rows.length)} snippets of ${windowSize} lines each, from ${packages} packages`)
const vectors = embed(
  rows.map((row) => row.lines),
  dimension,
)
await writeArrow(file('code.arrow'), rows, vectors, dimension)
const prepared = (performance.now() - start) / 1000
console.log(`  a vector of ${dimension} numbers for each: its words and word pairs, the rare ones weighing most`)
console.log(`  written to ${file('code.arrow')} in ${prepared.toFixed(1)} s`)

const command = [
  'join',
  file('code.arrow'),
  ...['--self', '-k', '10', '--metric', 'cosine', '--max-distance', `${maxDistance}`, '--recall', '0.95'],
  ...['--columns', 'path,line', '--out', file('neighbors.arrow'), '--report', file('report.json'), '--force'],
]
heading('For each snippet, its near-duplicates: the 10 nearest others, if near enough')
console.log(`  ${bold(`npx nigh ${command.join(' ')}`)}\n`)
const cli = join(root, 'dist', 'cli', 'main.js')
const joined = spawnSync(process.execPath, [cli, ...command], { stdio: 'inherit' })
if (joined.status !== 0) {
  console.error(`\nThe join failed (${joined.signal ?? `exit status ${joined.status}`}): its message is above.`)
  process.exit(1)
}

/** Reads the result's `neighbors: list<struct<neighbor, distance, ...>>` without making an object a row. */
function* readNeighbors(path: string): Generator<[row: number, found: Neighbors]> {
  const table = tableFromIPC(readFileSync(path))
  for (const batch of table.batches) {
    const ids = batch.getChild('id')!
    const lists = batch.getChild('neighbors')!.data[0] as Data<List<Struct>>
    const struct = lists.children[0]!
    const child = (name: string) => {
      const at = struct.type.children.findIndex((field) => field.name === name)
      return struct.children[at]!.values as Int32Array | Float32Array
    }
    const [neighbor, distance] = [child('neighbor'), child('distance')]
    for (let i = 0; i < batch.numRows; i++) {
      const [from, to] = [lists.valueOffsets[i]!, lists.valueOffsets[i + 1]!]
      yield [Number(ids.get(i)), { ids: neighbor.subarray(from, to), distances: distance.subarray(from, to) }]
    }
  }
}

printFindings(findings(rows, readNeighbors(file('neighbors.arrow'))), rows.length)
printCost(JSON.parse(readFileSync(file('report.json'), 'utf8')) as JoinReport, prepared)

heading('Now with your own tables (Parquet or Arrow, an id and a vector column)')
const bin = relative(process.cwd(), cli)
console.log(`  node ${bin} inspect items.parquet`)
console.log(`  node ${bin} join items.parquet --self -k 10 --metric cosine --recall 0.95 --out neighbors.parquet`)
console.log(`  node ${bin} join queries.parquet items.parquet -k 10 --out neighbors.parquet`)
console.log(dim('\n  docs/guide.md says what goes in and what comes out.'))
