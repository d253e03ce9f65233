// One forest built in many places, as spark-annoy does it: a parent tree of a sample parts the items, each leaf's branch is built where its
// items are, and all are merged into one file of Annoy's. What goes from one place to another is bytes; the same items, samples and seeds
// give the same file, however the items are spread.
import { call, callNow, type Metric } from '../native.ts'

/** What all trees of a forest have in common. */
export interface ForestSpace {
  /** l2, cosine, dot, l1, or hamming of numbers above 0.5. */
  metric: Metric
  dim: number
}

/** Items: vectors one after the other, and Annoy's numbers for them, below 2^31. */
export interface ItemBlock {
  vectors: Float32Array
  ids: Uint32Array
}

/**
 * The first splits of one tree: of a sample, into about `numLeaves` leaves. Each tree has a seed of its own, and best a sample. Errors:
 * INVALID_OPTION, INVALID_VECTOR, DIMENSION_MISMATCH.
 */
export function parentTree(
  sample: Float32Array,
  { metric, dim }: ForestSpace,
  numLeaves: number,
  seed: number,
): Promise<Uint8Array> {
  return call((addon) => addon.forestParent(sample, metric, dim, numLeaves, seed), {})
}

/** How many leaves a parent tree has. */
export const numLeavesOf = (parent: Uint8Array): number => callNow((addon) => addon.forestLeaves(parent))

/** The leaf of each item of a block. */
export function routeBlock(parent: Uint8Array, { vectors, ids }: ItemBlock): Promise<Uint32Array> {
  return call((addon) => addon.forestRoute(parent, vectors, ids), {})
}

/** The branch of one leaf, of all items that were routed to it, in any order. `numItems` is the highest id of the forest + 1. */
export function buildBranch(
  parent: Uint8Array,
  leaf: number,
  { vectors, ids }: ItemBlock,
  numItems: number,
  numThreads = 1,
): Promise<Uint8Array> {
  return call((addon) => addon.forestBranch(parent, leaf, vectors, ids, numItems, numThreads), {})
}

/** One tree to be merged: `counts` has the items of each leaf, `branches` come leaf by leaf, those of leaves without items too. */
export interface TreeParts {
  parent: Uint8Array
  counts: Uint32Array
  branches: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/**
 * Merges items (blocks in any order, each item once) and trees into one file of Annoy's: no more of them than a block or a branch is held.
 * The file gets its name once it is whole. Errors: INVALID_ARGUMENT for parts that do not belong together, CORRUPT_INDEX for bytes that were
 * changed, DISK_FULL, OUTPUT_UNWRITABLE.
 */
export async function mergeForest(
  path: string,
  { metric, dim }: ForestSpace,
  numItems: number,
  items: AsyncIterable<ItemBlock> | Iterable<ItemBlock>,
  trees: AsyncIterable<TreeParts> | Iterable<TreeParts>,
): Promise<void> {
  const merger = callNow((addon) => new addon.ForestMerger(path, metric, dim, numItems))
  try {
    for await (const { vectors, ids } of items) callNow(() => merger.items(vectors, ids))
    for await (const { parent, counts, branches } of trees) {
      callNow(() => merger.tree(parent, counts))
      for await (const branch of branches) callNow(() => merger.branch(branch))
    }
    callNow(() => merger.finish())
  } finally {
    merger.dispose()
  }
}
