import { type Table, tableFromIPC, tableToIPC } from 'apache-arrow'
import { expect, test } from 'vitest'
import { addon, type NativeArrow } from '../../src/native.ts'
import { Batch } from '../../src/table/batch.ts'
import { tableFromPieces } from '../../src/table/pieces.ts'
import { tableFromRows, tableToRows } from '../../src/table/rows/convert.ts'
import { allTypes as allSchema, allTypesRows } from './all-types.ts'

const allRows = allTypesRows(40)
const native = async (table: Table): Promise<NativeArrow> => addon().arrowFromIpc(tableToIPC(table, 'stream'))

test('memory that is handed over holds what an IPC stream would', async () => {
  const whole = tableFromRows(allRows, allSchema)
  let handedOver = 0
  for (const field of allSchema.fields) {
    const table = whole.select([field.name])
    for (const [first, count] of [
      [0, whole.numRows],
      [1, whole.numRows - 1],
      [1, 1],
    ] as const) {
      const arrow = (await native(table)).slice(first, count)
      const expected = tableFromIPC(await arrow.toIpc())
      const pieces = await arrow.handOver()
      if (!pieces) {
        expect(tableToRows(tableFromIPC(await arrow.toIpc()))).toEqual(tableToRows(expected))
        continue
      }
      handedOver++
      const made = tableFromPieces(expected.schema, pieces)
      expect(tableToRows(made), `${field}`).toEqual(tableToRows(expected))
      // Another way through the same memory: the addon reads what it gave away.
      expect(tableToRows(tableFromIPC(await (await native(made)).toIpc())), `${field}`).toEqual(tableToRows(expected))
    }
  }
  expect(handedOver).toBeGreaterThan(3 * 25)
})

test('a table that was handed over is gone; one that others hold is copied', async () => {
  const table = tableFromRows(allRows, allSchema).select(['int64'])
  const arrow = await native(table)
  const other = arrow.slice(0, arrow.numRows)
  const before = tableToRows(tableFromIPC(await other.toIpc()))
  const [pieces] = (await arrow.handOver())!
  expect(() => arrow.numRows).toThrow('disposed')
  pieces!.buffers.at(-1)!.fill(7)
  expect(tableToRows(tableFromIPC(await other.toIpc()))).toEqual(before)
})

test('a batch gives its memory up once, and is asked for a native table again', async () => {
  const table = tableFromRows(allRows, allSchema)
  const batch = Batch.ofNative(await native(table))
  const first = await batch.table()
  expect(await batch.table()).toBe(first)
  expect(tableToRows(first)).toEqual(tableToRows(table))
  const again = await batch.native()
  expect(tableToRows(tableFromIPC(await again.toIpc()))).toEqual(tableToRows(table))
  batch.dispose()
  const beside = Batch.ofNative(await native(table.select(['int64'])))
  expect(tableToRows(await beside.tableBeside())).toEqual(tableToRows(table.select(['int64'])))
  expect((await beside.native()).numRows).toBe(table.numRows)
  beside.dispose()
})
