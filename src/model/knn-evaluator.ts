import { type Data, DataType, type Table, Vector } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { NighError } from '../errors.ts'
import type { TableInput } from '../table/source.ts'
import { columnName, explain, type ParamDoc, refuseUnknown } from './params.ts'
import { tablesOf } from './tables.ts'

/** The params of `KnnEvaluator`. */
export interface KnnEvaluatorOptions {
  /** Column of the neighbors to be judged. Default `approximateNeighbors`. */
  approximateNeighborsCol?: string | undefined
  /** Column of the exact neighbors. Default `exactNeighbors`. */
  exactNeighborsCol?: string | undefined
}

const DOCS: readonly ParamDoc[] = [
  {
    name: 'approximateNeighborsCol',
    doc: 'column of the neighbors to be judged: list<struct<neighbor, distance>>, or a list of ids',
    default: 'approximateNeighbors',
  },
  { name: 'exactNeighborsCol', doc: 'column of the exact neighbors, of the same form', default: 'exactNeighbors' },
]

/** Distances that differ by less, relatively, are ties: as everywhere in nigh. */
const TIE = 1e-4

/**
 * How much of the exact neighbors the approximate ones hold: their number over that of the exact ones, summed over all rows
 * first. A neighbor as near as the farthest exact one counts as it would: which of several ties was found does not matter.
 * No exact neighbor at all: 1.
 */
export class KnnEvaluator {
  readonly kind = 'KnnEvaluator'
  readonly options: KnnEvaluatorOptions
  readonly #approximate: string
  readonly #exact: string

  constructor(options: KnnEvaluatorOptions = {}) {
    refuseUnknown(options, DOCS)
    this.options = { ...options }
    this.#approximate = columnName('approximateNeighborsCol', options.approximateNeighborsCol ?? 'approximateNeighbors')
    this.#exact = columnName('exactNeighborsCol', options.exactNeighborsCol ?? 'exactNeighbors')
  }

  explainParams(): string {
    return explain(DOCS, this.options)
  }

  get isLargerBetter(): boolean {
    return true
  }

  /** The recall over a table that has both columns. Errors: COLUMN_NOT_FOUND, COLUMN_TYPE. */
  async evaluate(input: TableInput, { signal }: EngineCall = {}): Promise<number> {
    let [found, asked] = [0, 0]
    for await (const table of tablesOf(input, signal)) {
      for (const batch of table.batches) {
        const approximate = neighborLists(batch.data.children, table, this.#approximate)
        const exact = neighborLists(batch.data.children, table, this.#exact)
        for (let row = 0; row < batch.numRows; row++) {
          const [from, to] = exact.span(row)
          asked += to - from
          found += foundIn(approximate, exact, row)
        }
      }
    }
    return asked === 0 ? 1 : found / asked
  }
}

/** A column of lists of neighbors. */
interface NeighborLists {
  span(row: number): readonly [from: number, to: number]
  id(at: number): unknown
  distance: ((at: number) => number) | undefined
}

function foundIn(approximate: NeighborLists, exact: NeighborLists, row: number): number {
  const [from, to] = exact.span(row)
  const truth = new Set<unknown>()
  let farthest = Number.NEGATIVE_INFINITY
  for (let at = from; at < to; at++) {
    truth.add(exact.id(at))
    if (exact.distance) farthest = Math.max(farthest, exact.distance(at))
  }
  const bound = farthest + TIE * Math.abs(farthest)
  const [first, end] = approximate.span(row)
  // A neighbor that is named twice counts once.
  const good = new Set<unknown>()
  for (let at = first; at < end; at++) {
    const id = approximate.id(at)
    const near = exact.distance && approximate.distance && approximate.distance(at) <= bound
    if (near || truth.has(id)) good.add(id)
  }
  return Math.min(good.size, to - from)
}

function neighborLists(columns: readonly Data[], { schema }: Table, name: string): NeighborLists {
  const at = schema.names.indexOf(name)
  const field = schema.fields[at]
  if (!field) {
    const text = `there is no column "${name}"; the columns are: ${schema.names.join(', ')}`
    throw new NighError('COLUMN_NOT_FOUND', text)
  }
  const data = columns[at]!
  const element = DataType.isList(field.type) ? field.type.children[0]!.type : undefined
  const members = element && DataType.isStruct(element) ? element.children.map((child) => child.name) : undefined
  const named = members?.indexOf('neighbor') ?? -1
  if (!element || (members && named < 0)) {
    const text = `column "${name}" has type ${field.type}, which is no list of neighbors: list<struct<neighbor, distance>>, or a list of ids`
    throw new NighError('COLUMN_TYPE', text)
  }
  const offsets = data.valueOffsets as Int32Array
  const child = data.children[0]!
  const ids = new Vector([members ? child.children[named]! : child])
  const measured = members?.indexOf('distance') ?? -1
  const distances = measured < 0 ? undefined : new Vector([child.children[measured]!])
  return {
    span: (row) => (data.getValid(row) ? [offsets[row]!, offsets[row + 1]!] : [0, 0]),
    id: (i) => comparable(ids.get(i)),
    distance: distances && ((i) => Number(distances.get(i))),
  }
}

/** Ids as keys of a set: binary ones by their bytes, integers of any width alike. */
function comparable(id: unknown): unknown {
  if (id instanceof Uint8Array) return `bytes ${Buffer.from(id).toString('hex')}`
  return typeof id === 'number' ? BigInt(id) : id
}
