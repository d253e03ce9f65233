import type { Table } from 'apache-arrow'
import { invalidOption } from '../errors.ts'
import { columnName, type ParamDoc, refuseUnknown } from './params.ts'
import { Transformer } from './transformer.ts'
import { storedRows, withColumn, withStored } from './vector-column.ts'

/** The params of `Normalizer`. */
export interface NormalizerOptions {
  /** Column of vectors. Default `vector`. */
  inputCol?: string | undefined
  /** The column that `transform` adds, of the input's type. Default `normalized`. */
  outputCol?: string | undefined
  /** The norm that becomes 1: 1 or more, `Infinity` too. Default 2. */
  p?: number | undefined
}

const DOCS: readonly ParamDoc[] = [
  { name: 'inputCol', doc: 'column of vectors: lists of floats, or the vector of Spark ML', default: 'vector' },
  { name: 'outputCol', doc: 'column that transform adds, of the same type', default: 'normalized' },
  { name: 'p', doc: 'the norm that becomes 1: 1 or more, or Infinity', default: 2 },
]

/** Divides each vector by its p-norm. A zero vector stays zero; a null stays null. */
export class Normalizer extends Transformer {
  readonly kind = 'Normalizer'
  readonly options: NormalizerOptions
  protected readonly docs: readonly ParamDoc[] = DOCS
  readonly #input: string
  readonly #output: string
  readonly #p: number

  constructor(options: NormalizerOptions = {}) {
    super()
    refuseUnknown(options, DOCS)
    this.options = { ...options }
    this.#input = columnName('inputCol', options.inputCol ?? 'vector')
    this.#output = columnName('outputCol', options.outputCol ?? 'normalized')
    // JSON has no Infinity.
    const p = (options.p as unknown) === 'Infinity' ? Number.POSITIVE_INFINITY : (options.p ?? 2)
    if (typeof p !== 'number' || !(p >= 1)) throw invalidOption('p', `must be a number of 1 or more, not ${p}`)
    if (p === Number.POSITIVE_INFINITY) this.options.p = 'Infinity' as unknown as number
    this.#p = p
  }

  protected map(table: Table): Table {
    return withColumn(table, this.#input, this.#output, (data) => {
      const rows = storedRows(data, this.#input)
      const { starts, values } = rows
      const scaled = values.slice()
      for (let row = 0; row + 1 < starts.length; row++) {
        const vector = scaled.subarray(starts[row]!, starts[row + 1]!)
        const norm = normOf(vector, this.#p)
        if (norm > 0) for (let i = 0; i < vector.length; i++) vector[i]! /= norm
      }
      return withStored(data, rows, scaled)
    })
  }
}

/** Summed in float64, of numbers divided by the largest: neither squares nor sums overflow or vanish. */
function normOf(vector: Float32Array | Float64Array, p: number): number {
  let largest = 0
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i]!))
  if (largest === 0 || p === Number.POSITIVE_INFINITY) return largest
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += (Math.abs(vector[i]!) / largest) ** p
  return largest * sum ** (1 / p)
}
