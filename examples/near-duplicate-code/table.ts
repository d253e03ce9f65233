import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import {
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import type { Snippet } from './collect.js'

/** Writes id, vector, package, path, line and text as an Arrow IPC file, some ten thousand rows a batch. */
export async function writeArrow(file: string, rows: Snippet[], vectors: Float32Array, dim: number): Promise<void> {
  const vectorType = new FixedSizeList(dim, new Field('item', new Float32(), false))
  const text = new Utf8()
  const schema = new Schema([
    new Field('id', new Int32(), false),
    new Field('vector', vectorType, false),
    new Field('package', text, false),
    new Field('path', text, false),
    new Field('line', new Int32(), false),
    new Field('text', text, false),
  ])
  const strings = (values: string[]) => vectorFromArray(values, text).data[0]!

  function* batches() {
    const step = 16_384
    for (let start = 0; start < rows.length; start += step) {
      const part = rows.slice(start, start + step)
      const length = part.length
      const child = makeData({ type: new Float32(), data: vectors.subarray(start * dim, (start + length) * dim) })
      yield new RecordBatch(
        schema,
        makeData({
          type: new Struct(schema.fields),
          length,
          children: [
            makeData({ type: new Int32(), data: Int32Array.from(part, (_, i) => start + i) }),
            makeData({ type: vectorType, length, nullCount: 0, child }),
            strings(part.map((r) => r.package)),
            strings(part.map((r) => r.path)),
            makeData({ type: new Int32(), data: Int32Array.from(part, (r) => r.line) }),
            strings(part.map((r) => r.lines.join('\n'))),
          ],
        }),
      )
    }
  }
  await pipeline(RecordBatchFileWriter.writeAll(batches()).toNodeStream(), createWriteStream(file))
}
