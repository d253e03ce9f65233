// What the worker threads run: a table in, a table with vectors out.
import { Field, FixedSizeList, Float32, makeData, Table, Vector } from 'apache-arrow'

export const dim = 8

/** A hash of each title's letter pairs: a stand-in for a model. */
export function embed(table: Table): Table {
  const values = new Float32Array(table.numRows * dim)
  const titles = table.getChild('title')!
  for (let row = 0; row < table.numRows; row++) {
    const title = titles.get(row) ?? ''
    for (let i = 0; i + 1 < title.length; i++) {
      values[row * dim + ((title.charCodeAt(i) * 31 + title.charCodeAt(i + 1)) % dim)]! += 1
    }
  }
  const type = new FixedSizeList(dim, new Field('item', new Float32(), false))
  const child = makeData({ type: new Float32(), data: values })
  const vector = new Vector([makeData({ type, child, length: table.numRows, nullCount: 0 })])
  return table.assign(new Table({ vector }))
}
