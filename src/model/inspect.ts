import { type CallOptions, call } from '../native.ts'
import { oneSource } from '../table/datasets.ts'
import { nameStdin, type TableInput } from '../table/source.ts'

/** Rows with one kind of fault, and the first of them, counted from 0 within its file. */
export interface Finding {
  rows: number
  first: { file: string; row: number } | null
}

/** What is in a table, and what a join would meet. */
export interface Inspection {
  files: {
    name: string
    format: string
    rows: number
    rowGroups: number
    bytes: number
    compression: string | null
  }[]
  schema: { name: string; type: string; nullable: boolean }[]
  rows: number
  rowGroups: number
  bytes: number
  vectors: {
    column: string
    kind: string
    dim: number
    validRows: number
    minNorm: number | null
    meanNorm: number | null
    maxNorm: number | null
    zeroVectors: number
    duplicateVectors: number
    nullVectors: Finding
    nullElements: Finding
    nonFinite: Finding
    ragged: Finding
  }[]
  ids: { column: string; type: string; nulls: Finding; duplicates: number } | null
  notes: string[]
}

export interface InspectOptions extends CallOptions {
  idCol?: string | undefined
  featuresCol?: string | undefined
}

/** Reads a table once and reports on it: schema, vectors, norms, duplicates, nulls, NaN. Bad rows are counted, not fatal. */
export async function inspectTable(input: TableInput, options: InspectOptions = {}): Promise<Inspection> {
  const source = await oneSource(input, 'table', options.signal)
  const { idCol, featuresCol } = options
  const json = await call((native, job) => native.inspect(source, idCol, featuresCol, job), options)
  return JSON.parse(nameStdin(input, json)) as Inspection
}
