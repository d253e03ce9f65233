// Any table as Arrow tables, for stages that work on columns.
import { Field, FixedSizeList, Float32, makeData, Table, tableFromIPC, Vector } from 'apache-arrow'
import { NighError } from '../errors.ts'
import { call } from '../native.ts'
import {
  idsTable,
  isTables,
  isVectors,
  nameStdin,
  nativeSources,
  type TableInput,
  type VectorsInput,
} from '../table/source.ts'

/** The tables of an input, one after the other: one a row group, batch or table given. May be asked for again. */
export function tablesOf(input: TableInput, signal?: AbortSignal): AsyncIterable<Table> {
  return { [Symbol.asyncIterator]: () => parts(input, signal) }
}

async function* parts(input: TableInput, signal: AbortSignal | undefined): AsyncGenerator<Table> {
  if (isVectors(input)) return yield vectorsTable(input)
  if (isTables(input)) return yield* input.tables()
  for (const source of await nativeSources(input, signal)) {
    if (source.ipc) {
      yield readIpc(source.ipc, nameStdin(input, 'Arrow IPC buffer 0'))
      continue
    }
    const batches = await call((native, job) => native.openBatches([source], job), { signal })
    for (;;) {
      const { ipc } = await call((_, job) => batches.next(job), { signal })
      if (!ipc) break
      yield readIpc(ipc, source.path ?? 'table')
    }
  }
}

function readIpc(ipc: Uint8Array, name: string): Table {
  try {
    return tableFromIPC(ipc)
  } catch (cause) {
    const text = `${name}: cannot be read as an Arrow table: ${(cause as Error).message}`
    throw new NighError('NOT_A_TABLE', text, { cause })
  }
}

/** Plain vectors as a table (id, vector). */
function vectorsTable({ ids, vectors, dim }: VectorsInput): Table {
  const length = vectors.length / dim
  const type = new FixedSizeList(dim, new Field('element', new Float32(), false))
  const child = makeData({ type: new Float32(), data: vectors })
  const vector = new Vector([makeData({ type, child, length })])
  if (ids === undefined) return new Table({ vector })
  return new Table({ id: idsTable(ids).getChildAt(0)!, vector })
}
