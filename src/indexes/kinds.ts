// The kinds of index and what each is built with.
import type { NativeIndexKind } from '../native.ts'

export type IndexKind = 'flat' | 'cluster' | 'hnsw' | 'forest' | 'lsh'

/** What lists keep of a number of a row: a byte, half a byte, a bit. */
export type ListCodes = 'int8' | 'int4' | 'bit1'

/** What an index is built with; each kind has its own, and `seed`. */
export interface KindParams {
  kind: IndexKind
  seed: number
  /** cluster: lists; by the number of items if absent. */
  numLists?: number | undefined
  /** cluster: absent for int8, as indexes were before there were others. */
  codes?: ListCodes | undefined
  /** hnsw: links of an item and level, and candidates they are chosen from. */
  m?: number | undefined
  efConstruction?: number | undefined
  /** forest: trees. */
  numTrees?: number | undefined
  /** lsh: the hash functions, the width of a bucket (l2), tables, and bits of a hash (cosine). */
  hashFamily?: 'spark' | 'offset' | undefined
  bucketLength?: number | undefined
  numHashTables?: number | undefined
  numBits?: number | undefined
}

/** A list a row's square root, four times. */
const chooseNumLists = (items: number): number => Math.max(1, Math.round(4 * Math.sqrt(items)))

/** The params as native code takes them, for so many items. */
export function nativeKind(params: KindParams, items: number): NativeIndexKind {
  const given = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined))
  const kind = given as unknown as NativeIndexKind
  if (params.kind !== 'cluster') return kind
  return { ...kind, numLists: Math.min(params.numLists ?? chooseNumLists(items), Math.max(1, items)) }
}
