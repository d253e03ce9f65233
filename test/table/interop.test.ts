// pyarrow reads what rows became, and rows come back from what it writes.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fromRows, readTable } from '../../src/index.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'
import { allTypes, allTypesRows } from './all-types.ts'

test('every type to pyarrow and back', async () => {
  const directory = temporaryDirectory()
  const rows = allTypesRows(41)
  const [source, target] = [join(directory, 'nigh.arrow'), join(directory, 'pyarrow.arrows')]
  await fromRows(rows, allTypes, { numPartitions: 2 }).write(source)
  const printedOf = ['int64', 'decimal', 'wideDecimal', 'utf8', 'dictionary']
  const index = rows.findIndex((row) => printedOf.every((name) => row[name] !== null))
  const printed = runPython('arrow_round_trip.py', source, target, `${index}`)
  const shown = Object.fromEntries(printed.split('\n').map((line) => line.split(/ (.*)/)))
  const row = rows[index]!
  for (const name of printedOf) expect(shown[name], name).toBe(String(row[name]))
  expect(await (await readTable(target)).toRows()).toEqual(rows)
})
