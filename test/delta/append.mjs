// Appends to a Delta table: node append.mjs PATH FIRST_ID COMMITS ROWS. With COMMITS 0, writes rows into one commit for ever.
import { Field, FixedSizeList, Float32, makeData, Table, tableToIPC, Vector, vectorFromArray } from 'apache-arrow'
import { call } from '../../dist/native.js'

const [path, first, commits, rows] = [process.argv[2], ...process.argv.slice(3).map(Number)]
const DIM = 4

function table(start) {
  const values = new Float32Array(rows * DIM)
  for (let i = 0; i < rows; i++) values[i * DIM] = start + i
  const type = new FixedSizeList(DIM, new Field('item', new Float32(), false))
  const vector = new Vector([makeData({ type, child: makeData({ type: new Float32(), data: values }), length: rows })])
  return new Table({ id: vectorFromArray(BigInt64Array.from({ length: rows }, (_, i) => BigInt(start + i))), vector })
}

const schemaIpc = tableToIPC(table(0).slice(0, 0), 'stream')
const open = () => call((native) => native.createDeltaWriter({ path, mode: 'append', partitionBy: [], schemaIpc }), {})
for (let commit = 0; commit < (commits || 1); commit++) {
  const writer = await open()
  do {
    const ipc = tableToIPC(table(first + commit * rows), 'stream')
    await call((_, job) => writer.write(ipc, job), {})
  } while (commits === 0)
  const { version } = await call(() => writer.finish(), {})
  console.log(version)
}
