// Merge and write: candidates of a range of queries, from all parts of the items, to a file of neighbors.
import { join } from 'node:path'
import { Field, FixedSizeList, Float32, makeData, Schema, Table, Utf8, vectorFromArray } from 'apache-arrow'
import { addon, call, callNow, callOn, type NativeDatasetWriter, type NativeTable } from '../../native.ts'
import { schemaFromIpc, schemaToIpc, tableFromIpc, tableToIpc } from '../../table/ipc.ts'
import { openTable, readOpenTable } from '../../table/read.ts'
import { recordBatch } from '../../table/schema.ts'
import { type CandidateBlock, unpackCandidates } from './candidate-block.ts'
import {
  itemColumns,
  type MergeStage,
  PART_DONE,
  type PartDone,
  queryColumns,
  querySide,
  type RangeDone,
} from './join-stage.ts'
import { type Merged, mergeCandidates } from './merge-candidates.ts'
import { SliceFinder } from './query-slices.ts'
import { blocksIn } from './shuffle-blocks.ts'
import { Spool } from './spool.ts'
import { numberedTables } from './table-side.ts'

/** Tables that are written have vectors, which the writer of neighbors does not look at. */
const NO_VECTOR = '__nigh_none'

export async function* mergeAndWrite(blocks: AsyncIterable<Table>, stage: MergeStage): AsyncGenerator<Table> {
  using spool = new Spool(stage.tmp)
  const parts: PartDone[] = []
  const ranges = new Map<number, number>()
  for await (const table of blocks) {
    for (const { kind, at, block } of blocksIn(table)) {
      if (kind === PART_DONE) {
        parts.push(JSON.parse(Buffer.from(block!).toString()) as PartDone)
        continue
      }
      ranges.set(kind, (ranges.get(kind) ?? 0) + (block?.length ?? 0))
      if (block) spool.add(`range-${kind}-${at}`, 0, block, 'block')
    }
  }
  for (const [range, receivedBytes] of ranges) {
    const writer = new RangeWriter(stage, range, spool)
    const done = await writer.write({ receivedBytes, parts: parts.splice(0) })
    yield new Table({ done: vectorFromArray([JSON.stringify(done)], new Utf8()) })
  }
}

class RangeWriter {
  readonly #stage: MergeStage
  readonly #range: number
  readonly #spool: Spool
  readonly #sampled: Set<number>
  readonly #sample: RangeDone['sample'] = []
  #writer: NativeDatasetWriter | undefined
  #file: string | undefined
  #counts = { queries: 0, neighbors: 0 }

  constructor(stage: MergeStage, range: number, spool: Spool) {
    this.#stage = stage
    this.#range = range
    this.#spool = spool
    this.#sampled = new Set(stage.sample)
  }

  async write(told: Pick<RangeDone, 'receivedBytes' | 'parts'>): Promise<RangeDone> {
    const { sliceRows, ranges } = this.#stage
    const side = querySide(this.#stage)
    const slices = new SliceFinder({ partitionRows: side.partitionRows, sliceRows, ranges })
    const { first, count } = ranges[this.#range]!
    const columns = queryColumns(this.#stage)
    let actions: string | undefined
    try {
      for await (const { table, first: row } of numberedTables(side, first, count, columns)) {
        const end = row + table.numRows
        for (let at = row; at < end; ) {
          const slice = slices.of(at)
          const to = Math.min(end, slices.starts[slice + 1]!)
          await this.#slice(slice, at, table.slice(at - row, to - row))
          at = to
        }
      }
      if (this.#writer) actions = await this.#finish(this.#writer)
    } catch (error) {
      const left = this.#writer
      if (left) await callOn(() => left.abort())
      throw error
    } finally {
      this.#writer?.dispose()
    }
    const cpuSeconds = callNow((native) => native.cpuSeconds())
    const peakMemoryBytes = callNow((native) => native.peakMemoryBytes())
    const found = { ...this.#counts, sample: this.#sample, cpuSeconds, peakMemoryBytes }
    return { range: this.#range, file: this.#file, actions, ...found, ...told }
  }

  /** Merges a slice and writes it. */
  async #slice(slice: number, first: number, queries: Table): Promise<void> {
    const { params, mayRepeat } = this.#stage
    const group = `range-${this.#range}-${slice}`
    const blocks = this.#spool.files(group).map((path) => unpackCandidates(this.#spool.read(path)))
    this.#spool.remove(group)
    const merged = mergeCandidates(blocks, { first, numRows: queries.numRows, k: params.k, mayRepeat })
    for (const [i, place] of merged.present.entries()) {
      if (this.#sampled.has(first + place)) this.#sample.push(sampleOf(merged, i, first + place))
    }
    this.#counts.queries += merged.present.length
    this.#counts.neighbors += merged.counts.reduce((sum, count) => sum + count, 0)
    const ipc = await neighborsIpc(this.#stage, blocks, queries, merged)
    const into = (this.#writer ??= this.#open(ipc))
    await callOn(async () => {
      const native = await addon().arrowFromIpc(ipc)
      try {
        await call((_, job) => into.write(native, job), {})
      } finally {
        native.dispose()
      }
    })
  }

  #open(ipc: Uint8Array): NativeDatasetWriter {
    const { directory, output } = this.#stage
    const schemaIpc = schemaToIpc(schemaFromIpc(ipc))
    if (output.format === 'delta') {
      const { path, mode } = output
      return callNow((native) =>
        native.createDatasetWriter({ path, format: 'delta', mode, partitionBy: [], schemaIpc }),
      )
    }
    const { NIGH_ATTEMPT: attempt = '0' } = process.env
    this.#file = `part-${String(this.#range).padStart(5, '0')}-${attempt}-${process.pid}.parquet`
    const path = join(directory, this.#file)
    const options = { path, format: 'parquet' as const, mode: 'error' as const, partitionBy: [], schemaIpc }
    return callNow((native) => native.createDatasetWriter(options))
  }

  async #finish(writer: NativeDatasetWriter): Promise<string | undefined> {
    await call((_, job) => writer.finish(job), {})
    return undefined
  }
}

function sampleOf({ k, counts, rows, distances }: Merged, i: number, query: number): RangeDone['sample'][number] {
  const [from, to] = [i * k, i * k + counts[i]!]
  return { query, rows: [...rows.subarray(from, to)], distances: [...distances.subarray(from, to)] }
}

/** The neighbors as the local engine writes them. */
async function neighborsIpc(
  stage: MergeStage,
  blocks: readonly CandidateBlock[],
  queries: Table,
  { k, present, counts, places, distances }: Merged,
): Promise<Uint8Array> {
  const { params, items } = stage
  const side = querySide(stage)
  const { columns } = params.item
  const held: { dispose(): void }[] = []
  const hold = <T extends { dispose(): void }>(value: T) => {
    held.push(value)
    return value
  }
  try {
    const itemTable = hold(await namedRows(await itemRows(stage, blocks), items.idCol, columns, 'item'))
    const own = queries.select(queryColumns(stage))
    const asking = present.length === own.numRows ? tableToIpc(own) : await takenRows(own, present)
    const queryTable = hold(await namedRows(tableFromIpc(asking), side.idCol, params.query.columns, 'query'))
    const neighbors = hold(callNow((native) => native.newNeighbors(k, counts, places, distances)))
    const { layout } = params
    const writing = { layout, columns, queryColumns: params.query.columns, force: false, mode: 'error' as const }
    const writer = hold(callNow((native) => native.createWriter(itemTable, queryTable, writing)))
    await call((_, job) => writer.write(0, neighbors, job), {})
    return (await callOn(() => writer.finish())).bytes!
  } finally {
    for (const value of held.reverse()) value.dispose()
  }
}

/** Ids and columns of the items of all blocks; without any, those of an empty part of the table. */
async function itemRows(stage: MergeStage, blocks: readonly CandidateBlock[]): Promise<Table> {
  const tables = blocks.filter(({ itemRows }) => itemRows.length > 0).map(({ columns }) => tableFromIpc(columns))
  const [one, ...others] = tables
  if (one) return others.length === 0 ? one : one.concat(...others)
  const { items } = stage
  for (let partition = 0; partition < items.partitionRows.length; partition++) {
    for await (const { table } of numberedTables(items, partition, 1, itemColumns(stage))) {
      return table.select(itemColumns(stage)).slice(0, 0)
    }
  }
  return new Table(new Schema([]))
}

async function takenRows(table: Table, rows: Uint32Array): Promise<Uint8Array> {
  return callOn(async () => {
    const all = await addon().arrowFromIpc(tableToIpc(table))
    const taken = await all.take(rows)
    all.dispose()
    try {
      return await taken.toIpc()
    } finally {
      taken.dispose()
    }
  })
}

/** A table of ids and columns for the writer of neighbors. */
async function namedRows(
  table: Table,
  idCol: string,
  columns: readonly string[],
  side: 'item' | 'query',
): Promise<NativeTable> {
  const type = new FixedSizeList(1, new Field('item', new Float32(), false))
  const schema = new Schema([...table.schema.fields, new Field(NO_VECTOR, type, false)])
  const batches = table.batches.map((batch) => {
    const child = makeData({ type: new Float32(), data: new Float32Array(batch.numRows) })
    const vectors = makeData({ type, child, length: batch.numRows, nullCount: 0 })
    return recordBatch(schema, [...batch.data.children, vectors], batch.numRows)
  })
  const options = { idCol, featuresCol: NO_VECTOR, columns, onInvalid: 'fail' as const, threads: 1, side }
  return readOpenTable(await openTable(new Table(schema, batches), options, {}), undefined, {})
}
