// A function of tables that takes some time: what the threads of `map` are measured with.
import type { Table } from 'apache-arrow'
import { vectors } from 'nigh'

export function sumOfPowers(table: Table): Table {
  const { values } = vectors(table, 'vector')
  let sum = 0
  for (let round = 1; round <= 40; round++) for (const value of values) sum += Math.sqrt(value * round)
  if (!(sum > 0)) throw new Error('no vectors')
  return table.select(['id'])
}
