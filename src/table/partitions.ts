import type { Table } from 'apache-arrow'
import { type Opened, type Run, reading, type Step } from './steps/step.ts'

/** One partition of a dataset: its tables, read when they are asked for. */
export interface TablePartition extends AsyncIterable<Table> {
  /** From 0. */
  index: number
  /** The file and the part of it, for a partition of a file. */
  name: string
}

/** The partitions of one reading of a dataset. They may be read in any order, and more than once. */
export class TablePartitions implements AsyncDisposable, Iterable<TablePartition> {
  readonly #opened: Opened
  readonly #all: TablePartition[]

  constructor(opened: Opened, run: Run) {
    this.#opened = opened
    this.#all = opened.partitions.map((name, index) => ({
      index,
      name,
      [Symbol.asyncIterator]: () => tablesIn(opened, run, [index]),
    }))
  }

  get length(): number {
    return this.#all.length
  }

  at(index: number): TablePartition | undefined {
    return this.#all.at(index)
  }

  [Symbol.iterator](): Iterator<TablePartition> {
    return this.#all[Symbol.iterator]()
  }

  /** Bytes read from files so far. */
  get bytesRead(): number {
    return this.#opened.bytesRead()
  }

  /** Frees what the reading holds: rows on their way to other partitions, and their files. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.close()
  }
}

/** The tables of a step from its opening to its end. */
export async function* tablesOf(step: Step, run: Run): AsyncGenerator<Table, void, undefined> {
  const opened = await step.open(run)
  try {
    yield* tablesIn(opened, run)
  } finally {
    await opened.close()
  }
}

async function* tablesIn(opened: Opened, run: Run, partitions?: readonly number[]): AsyncGenerator<Table> {
  for await (const { batch } of reading(opened, run, partitions)) {
    let table: Table
    try {
      table = await batch.table()
    } finally {
      batch.dispose()
    }
    yield table
  }
}
