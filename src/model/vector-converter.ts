import { DataType, type Table } from 'apache-arrow'
import { invalidOption } from '../errors.ts'
import { columnName, type ParamDoc, refuseUnknown } from './params.ts'
import { Transformer } from './transformer.ts'
import { denseRows, VECTOR_FORMS, type VectorForm, vectorData, withColumn } from './vector-column.ts'

/** The params of `VectorConverter`. */
export interface VectorConverterOptions {
  /** Column of vectors. Default `vector`. */
  inputCol?: string | undefined
  /** The column that `transform` adds. Default `converted`. */
  outputCol?: string | undefined
  /** Its form: `array<float>`, `array<double>`, or `vector` (the dense vector of Spark ML). Default `array<float>`. */
  outputType?: VectorForm | undefined
}

const DOCS: readonly ParamDoc[] = [
  { name: 'inputCol', doc: 'column of vectors: lists of floats, or the vector of Spark ML', default: 'vector' },
  { name: 'outputCol', doc: 'column that transform adds', default: 'converted' },
  { name: 'outputType', doc: 'its form: array<float>, array<double> or vector', default: 'array<float>' },
]

/**
 * Turns vectors of one form into those of another. Lists of one length stay so. Sparse vectors become dense; float64 becomes
 * the nearest float32.
 */
export class VectorConverter extends Transformer {
  readonly kind = 'VectorConverter'
  readonly options: VectorConverterOptions
  protected readonly docs: readonly ParamDoc[] = DOCS
  readonly #input: string
  readonly #output: string
  readonly #form: VectorForm

  constructor(options: VectorConverterOptions = {}) {
    super()
    refuseUnknown(options, DOCS)
    this.options = { ...options }
    this.#input = columnName('inputCol', options.inputCol ?? 'vector')
    this.#output = columnName('outputCol', options.outputCol ?? 'converted')
    this.#form = options.outputType ?? 'array<float>'
    if (!VECTOR_FORMS.includes(this.#form)) {
      throw invalidOption('outputType', `must be ${VECTOR_FORMS.join(', ')}, not ${JSON.stringify(this.#form)}`)
    }
  }

  protected map(table: Table): Table {
    return withColumn(table, this.#input, this.#output, (data, { type }) => {
      const fixed = DataType.isFixedSizeList(type) ? type.listSize : undefined
      return vectorData(this.#form, denseRows(data, this.#input), fixed)
    })
  }
}
