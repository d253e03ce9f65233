import type { Table } from 'apache-arrow'
import { plain } from '../support/arrow.ts'

/** The hashes of each row. */
export function hashesOf(table: Table, column = 'hashes'): number[][] {
  return [...table.getChild(column)!].map((hashes) => [...hashes])
}

/** Pairs as plain data, by ids that are numbers. */
export function pairsOf(table: Table): [number, number, number][] {
  const [a, b, d] = table.schema.names.map((name) => [...table.getChild(name)!])
  const pairs = a!.map((id, i): [number, number, number] => [plain(id) as number, plain(b![i]) as number, d![i]])
  return pairs.sort((x, y) => x[0] - y[0] || x[1] - y[1])
}
