import { closeSync, openSync, writeSync } from 'node:fs'
import {
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
} from 'apache-arrow'
import { randomSource } from '../../src/join/sample.ts'

const BATCH = 8192

/** Writes an Arrow IPC stream of rows around a few centers: id, vector. Larger than one would want to hold in a test. */
export function writeClustered(
  path: string,
  { rows, dim, seed = 1 }: { rows: number; dim: number; seed?: number },
): void {
  const schema = new Schema([
    new Field('id', new Int32(), false),
    new Field('vector', new FixedSizeList(dim, new Field('element', new Float32(), false)), false),
  ])
  const next = randomSource(seed)
  const uniform = () => next() / 2 ** 32
  const fixed = randomSource(64)
  const centers = Float32Array.from({ length: 200 * dim }, () => fixed() / 2 ** 32)
  const writer = new RecordBatchStreamWriter()
  const file = openSync(path, 'w')
  writer.reset(undefined, schema)
  for (let first = 0; first < rows; first += BATCH) {
    const length = Math.min(BATCH, rows - first)
    const vectors = new Float32Array(length * dim)
    for (let row = 0; row < length; row++) {
      const center = Math.floor(uniform() * 200) * dim
      for (let i = 0; i < dim; i++) vectors[row * dim + i] = centers[center + i]! + 0.3 * uniform()
      // Some rows are those before them again.
      if (row > 0 && row % 50 === 0) vectors.copyWithin(row * dim, (row - 1) * dim, row * dim)
    }
    const ids = makeData({ type: new Int32(), data: Int32Array.from({ length }, (_, i) => first + i) })
    const child = makeData({ type: new Float32(), data: vectors })
    const lists = makeData({ type: schema.fields[1]!.type as FixedSizeList<Float32>, child, length })
    const struct = makeData({ type: new Struct(schema.fields), children: [ids, lists], length })
    writer.write(new RecordBatch(schema, struct))
  }
  writer.finish()
  writeSync(file, writer.toUint8Array(true))
  closeSync(file)
}
