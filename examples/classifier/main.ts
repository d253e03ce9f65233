// Tables handed to another library without a copy: a logistic regression from npm looks at the memory that the file was read to.
//
//     npm run build && npx tsc -b && node .build/examples/classifier/main.js
import { ok, strictEqual } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, Int32, makeData, Schema, type Table, Vector } from 'apache-arrow'
import LogisticRegression from 'ml-logistic-regression'
import { Matrix, WrapperMatrix1D } from 'ml-matrix'
import { fromRows, readTable, vectors } from 'nigh'

const dim = 16
const folder = await mkdtemp(join(tmpdir(), 'nigh-classifier-'))
try {
  const path = join(folder, 'labeled.parquet')
  await fromRows(labeledRows(4000), labeledSchema()).write(path)
  const labeled = await readTable(path, { maxRecordsPerTable: 500 })

  // Learned from the first rows.
  const sample = await labeled.take(200).toTable()
  const classifier = new LogisticRegression({ numSteps: 200, learningRate: 5e-3 })
  classifier.train(matrix(sample), Matrix.columnVector([...sample.getChild('label')!]))

  // Applied to all of them, a table at a time.
  const judged = labeled.withColumn(
    'predicted',
    (table) => {
      const batch = matrix(table)
      const predicted = Int32Array.from(classifier.predict(batch))
      return new Vector([makeData({ type: new Int32(), data: predicted })])
    },
    { type: new Int32() },
  )
  const out = join(folder, 'judged.parquet')
  const { rows } = await judged.select(['label', 'predicted']).write(out)
  const right = await (await readTable(out, { filter: 'label = predicted' })).count()
  console.log(`${right} of ${rows} rows classified as they are labeled`)
  ok(right > 0.95 * rows)
} finally {
  await rm(folder, { recursive: true })
}

/** The vectors of a table as the library's matrix: the same memory. */
function matrix(table: Table): WrapperMatrix1D {
  const { values, numRows } = vectors(table, 'vector')
  const wrapped = new WrapperMatrix1D(values, { rows: numRows })
  // No copy on the way: the library's numbers, nigh's, and those of the table that was read are one array's bytes.
  const column = table.batches[0]!.data.children[1]!.children[0]!
  strictEqual((wrapped as unknown as { data: Float32Array }).data, values)
  strictEqual(values.buffer, column.values.buffer)
  strictEqual(values.byteOffset, column.values.byteOffset)
  return wrapped
}

function labeledSchema(): Schema {
  return new Schema([
    new Field('label', new Int32(), false),
    new Field('vector', new FixedSizeList(dim, new Field('item', new Float32(), false)), false),
  ])
}

/** Three classes around three centers. */
function labeledRows(count: number): { label: number; vector: Float32Array }[] {
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
  const centers = Array.from({ length: 3 }, () => Float32Array.from({ length: dim }, random))
  return Array.from({ length: count }, (_, row) => {
    const label = row % 3
    return { label, vector: centers[label]!.map((x) => x + 0.4 * random()) }
  })
}
