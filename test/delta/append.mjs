// Appends to a Delta table: node append.mjs PATH FIRST_ID COMMITS ROWS. With COMMITS 0, writes rows into one commit for ever.
import { Field, FixedSizeList, Float32, makeData, Table, Vector, vectorFromArray } from 'apache-arrow'
import { fromIterable } from '../../dist/index.js'

const [path, first, commits, rows] = [process.argv[2], ...process.argv.slice(3).map(Number)]
const DIM = 4

function table(start) {
  const values = new Float32Array(rows * DIM)
  for (let i = 0; i < rows; i++) values[i * DIM] = start + i
  const type = new FixedSizeList(DIM, new Field('item', new Float32(), false))
  const vector = new Vector([makeData({ type, child: makeData({ type: new Float32(), data: values }), length: rows })])
  return new Table({ id: vectorFromArray(BigInt64Array.from({ length: rows }, (_, i) => BigInt(start + i))), vector })
}

for (let commit = 0; commit < (commits || 1); commit++) {
  const tables = function* () {
    do yield table(first + commit * rows)
    while (commits === 0)
  }
  const { version } = await fromIterable(tables).write(`delta:${path}`, { mode: 'append' })
  console.log(version)
}
