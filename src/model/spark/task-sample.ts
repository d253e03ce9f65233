// Sample: some rows of a side, by their numbers.
import type { Table } from 'apache-arrow'
import { numbersOf } from './control-rows.ts'
import type { SampleStage } from './join-stage.ts'
import { packArrays } from './packed-arrays.ts'
import { readNumbered, vectorsOf } from './read-vectors.ts'
import { blockTable } from './shuffle-blocks.ts'
import { numberedTables } from './table-side.ts'

/** Blocks of (row numbers, vectors): `key` is 0 for items, `kind` the dimension. */
export async function* sampleRows(control: AsyncIterable<Table>, stage: SampleStage): AsyncGenerator<Table> {
  for await (const id of numbersOf(control)) {
    const task = stage.tasks[id]!
    const side = task.side === 'item' ? stage.items : (stage.queries ?? stage.items)
    const wanted = new Set(task.rows)
    for await (const { table, first } of numberedTables(side, task.first, task.count, [side.featuresCol])) {
      const end = first + table.numRows
      const inside = task.rows.filter((row) => row >= first && row < end)
      if (inside.length === 0) continue
      const { native, rows } = await readNumbered(table, side, task.side, stage.params)
      try {
        const places = [...rows.keys()].filter((i) => wanted.has(rows[i]!))
        const numbers = Float64Array.from(places, (place) => rows[place]!)
        const block = packArrays([numbers, vectorsOf(native, places)])
        yield blockTable({ key: task.side === 'item' ? 0 : 1, kind: native.dim, at: first, block })
      } finally {
        native.dispose()
      }
    }
  }
}
