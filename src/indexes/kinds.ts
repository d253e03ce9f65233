// The kinds of index and what each is built with.
import type { NativeIndexKind } from '../native.ts'

export type IndexKind = 'flat' | 'cluster'

/** What an index is built with; each kind has its own, and `seed`. */
export interface KindParams {
  kind: IndexKind
  seed: number
  /** cluster: lists; by the number of items if absent. */
  numLists?: number | undefined
}

/** A list a row's square root, four times. */
const chooseNumLists = (items: number): number => Math.max(1, Math.round(4 * Math.sqrt(items)))

/** The params as native code takes them, for so many items. */
export function nativeKind({ kind, seed, numLists }: KindParams, items: number): NativeIndexKind {
  switch (kind) {
    case 'flat':
      return { kind, seed }
    case 'cluster':
      return { kind, seed, numLists: Math.min(numLists ?? chooseNumLists(items), Math.max(1, items)) }
  }
}

/** What a number given as effort means to each kind. */
export const EFFORTS: Record<IndexKind, string> = {
  flat: 'nothing: every item is compared',
  cluster: 'nprobe, the lists that each query scans',
}
