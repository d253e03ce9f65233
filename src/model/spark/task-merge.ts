// Merge and write: candidates of a range of queries, from all parts of the items, to a file of neighbors.
import { join } from 'node:path'
import { Table, Utf8, vectorFromArray } from 'apache-arrow'
import { addon, call, callNow, callOn, type NativeDatasetWriter } from '../../native.ts'
import { schemaFromIpc, schemaToIpc } from '../../table/ipc.ts'
import { unpackCandidates } from './candidate-block.ts'
import { type MergeStage, PART_DONE, type PartDone, queryColumns, querySide, type RangeDone } from './join-stage.ts'
import { type Merged, mergeCandidates } from './merge-candidates.ts'
import { neighborsIpc, neighborsSchema } from './neighbors-ipc.ts'
import { SliceFinder } from './query-slices.ts'
import { blocksIn } from './shuffle-blocks.ts'
import { Spool } from './spool.ts'
import { numberedTables } from './table-side.ts'
import { tellFiles } from './task-output.ts'

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
      // All of its rows are deleted: a file of no rows.
      this.#writer ??= this.#open(await neighborsSchema(this.#stage))
      await this.#finish(this.#writer)
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
    return { range: this.#range, file: this.#file, ...found, ...told }
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
    this.#writer ??= this.#open(ipc)
    const into = this.#writer
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
    const { NIGH_ATTEMPT: attempt = '0' } = process.env
    const extension = output.format === 'delta' ? 'json' : 'parquet'
    this.#file = `part-${String(this.#range).padStart(5, '0')}-${attempt}-${process.pid}.${extension}`
    const mode = output.format === 'delta' ? output.mode : 'error'
    const path = output.format === 'delta' ? output.path : join(directory, this.#file)
    const options = { path, format: output.format, mode, partitionBy: [], schemaIpc }
    return callNow((native) => native.createDatasetWriter(options))
  }

  /** Files of a Delta table stay unseen until the client commits them: it reads of them beside the output. */
  async #finish(writer: NativeDatasetWriter): Promise<void> {
    const { directory, output } = this.#stage
    if (output.format !== 'delta') {
      await call((_, job) => writer.finish(job), {})
      return
    }
    await tellFiles(writer, join(directory, this.#file!))
  }
}

function sampleOf({ k, counts, rows, distances }: Merged, i: number, query: number): RangeDone['sample'][number] {
  const [from, to] = [i * k, i * k + counts[i]!]
  return { query, rows: [...rows.subarray(from, to)], distances: [...distances.subarray(from, to)] }
}
