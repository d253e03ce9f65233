// One table of a join as tasks read it: partitions of files, rows numbered over all of them.
import type { Table } from 'apache-arrow'
import { NighError } from '../../errors.ts'
import { ArrowDataset } from '../../table/dataset.ts'
import { ScanStep } from '../../table/steps/scan.ts'
import { withRowNumbers } from './row-numbers.ts'

export interface TableSide {
  path: string
  /** Columns that are read. */
  read: string[]
  /** The ids; row numbers, where the table has no such column. */
  idCol: string
  hasIds: boolean
  featuresCol: string
  /** Columns that go to the neighbors. */
  columns: string[]
  /** By the metadata; of a Delta table with its deleted rows. */
  partitionRows: number[]
  /** Whether these are the rows that are read. */
  isCounted: boolean
}

/** A table of a partition, the number of its first row in `ROW`. */
export interface NumberedTable {
  table: Table
  first: number
  partition: number
}

/** The number of the first row of each partition. */
export function firstRows({ partitionRows }: Pick<TableSide, 'partitionRows'>): number[] {
  let row = 0
  return partitionRows.map((rows) => {
    row += rows
    return row - rows
  })
}

/** Bytes of a partition: a task has a few times as many in memory. */
const PARTITION_BYTES = 32e6

/** How files are cut: alike for all tasks, whatever columns they read. */
export function cutOf({ read }: Pick<TableSide, 'read'>): { cutColumns: string[]; cutBytes: number } {
  return { cutColumns: [...read], cutBytes: PARTITION_BYTES }
}

function cutTable(side: TableSide, columns: string[]): ArrowDataset {
  const options = { columns, ...cutOf(side) }
  return new ArrowDataset(new ScanStep({ sources: [{ path: side.path }], options, maxRecords: -1 }), {})
}

/** Some consecutive partitions, their rows numbered. `columns`: fewer than all that the join reads. */
export async function* numberedTables(
  side: TableSide,
  first: number,
  count: number,
  columns: readonly string[] = [...new Set([side.idCol, ...side.read])],
): AsyncGenerator<NumberedTable> {
  const { path, hasIds, idCol, partitionRows, isCounted } = side
  const named = columns.filter((name) => hasIds || name !== idCol)
  // Rows of no column have no table: one more is read, and left out.
  const reading = named.length > 0 ? named : [side.featuresCol]
  const dataset = cutTable(side, reading)
  const partitions = await dataset.partitions()
  try {
    if (partitions.length !== partitionRows.length) {
      const message = `${path} has ${partitions.length} partitions in a task and ${partitionRows.length} for the client`
      throw new NighError('SPARK_STORAGE', message)
    }
    const starts = firstRows(side)
    for (let partition = first; partition < first + count; partition++) {
      let row = starts[partition]!
      for await (const table of partitions.at(partition)!) {
        const needsIds = !hasIds && columns.includes(idCol)
        yield { table: withRowNumbers(table, row, needsIds ? idCol : undefined), first: row, partition }
        row += table.numRows
      }
      const read = row - starts[partition]!
      if (isCounted && read !== partitionRows[partition]) {
        const message = `${path} changed while it was read: partition ${partition} has ${read} rows, not ${partitionRows[partition]}`
        throw new NighError('FILE_UNREADABLE', message)
      }
    }
  } finally {
    await partitions[Symbol.asyncDispose]()
  }
}
