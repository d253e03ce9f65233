// One forest built in parts, searched by Annoy's own program.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import {
  buildBranch,
  type ItemBlock,
  mergeForest,
  numLeavesOf,
  parentTree,
  routeBlock,
  type TreeParts,
} from '../../src/indexes/forest-parts.ts'
import { runPython, temporaryDirectory } from '../support/run.ts'

const DIM = 16
const directory = temporaryDirectory()
const at = (name: string) => join(directory, name)

interface Made {
  vectors: number[][]
  answers: [number[], number[]][]
}

beforeAll(() => void runPython('annoy_files.py', 'make', directory))

const blockOf = (vectors: readonly number[][], ids: readonly number[]): ItemBlock => ({
  vectors: Float32Array.from(ids.flatMap((id) => vectors[id]!)),
  ids: Uint32Array.from(ids),
})

/** The file of three trees, with the items spread over partitions. */
async function build(
  path: string,
  vectors: readonly number[][],
  metric: 'l2',
  order: readonly number[],
  parts: number,
) {
  const space = { metric, dim: DIM }
  const size = Math.ceil(order.length / parts)
  const partitions = Array.from({ length: parts }, (_, p) => order.slice(p * size, (p + 1) * size))
  const trees: TreeParts[] = []
  for (const seed of [1, 2, 3]) {
    const sample = vectors.filter((_, row) => row % 4 === seed)
    const parent = await parentTree(Float32Array.from(sample.flat()), space, 12, seed)
    const leaves = Array.from({ length: numLeavesOf(parent) }, () => [] as number[])
    for (const ids of partitions) {
      const routed = await routeBlock(parent, blockOf(vectors, ids))
      routed.forEach((leaf, i) => {
        leaves[leaf]!.push(ids[i]!)
      })
    }
    const branches = await Promise.all(
      leaves.map((ids, leaf) => buildBranch(parent, leaf, blockOf(vectors, ids), vectors.length)),
    )
    trees.push({ parent, counts: Uint32Array.from(leaves, (ids) => ids.length), branches })
  }
  const blocks = partitions.map((ids) => blockOf(vectors, ids))
  await mergeForest(path, space, vectors.length, blocks, trees)
  return { space, trees, blocks }
}

test.each([
  ['euclidean', 'l2'],
  ['angular', 'cosine'],
  ['dot', 'dot'],
  ['manhattan', 'l1'],
  ['hamming', 'hamming'],
])('%s: partitions and their order do not change the file, and Annoy searches it', async (annoy, metric) => {
  const { vectors, answers } = JSON.parse(readFileSync(at(`${annoy}.json`), 'utf8')) as Made
  const inOrder = vectors.map((_, id) => id)
  const shuffled = inOrder.map((id) => (id * 7919) % vectors.length)
  const [one, seven] = [at(`${annoy}-1.ann`), at(`${annoy}-7.ann`)]
  await build(one, vectors, metric as 'l2', inOrder, 1)
  await build(seven, vectors, metric as 'l2', shuffled, 7)
  expect(readFileSync(seven).equals(readFileSync(one))).toBe(true)
  const asked = Array.from({ length: 20 }, (_, i) => `${i}`)
  const found = JSON.parse(runPython('annoy_files.py', 'ask', seven, annoy, `${DIM}`, ...asked))
  expect(found).toMatchObject({ items: vectors.length, trees: 3 })
  // Everything is gathered: the answers of Annoy's own forest. Near 0, what f32 rounds an angle by shows in its root.
  const rooted = (distance: number) => (annoy === 'angular' ? distance ** 2 : distance)
  answers.forEach(([, distances], row) => {
    distances.forEach((distance, i) => {
      expect(rooted(found.answers[row][1][i])).toBeCloseTo(rooted(distance), 4)
    })
  })
})

test('parts that do not belong together are told', async () => {
  const { vectors } = JSON.parse(readFileSync(at('euclidean.json'), 'utf8')) as Made
  const { space, trees, blocks } = await build(
    at('good.ann'),
    vectors,
    'l2',
    vectors.map((_, id) => id),
    2,
  )
  const [tree] = trees as [TreeParts]
  const merge = (...trees: TreeParts[]) => mergeForest(at('bad.ann'), space, vectors.length, blocks, trees)
  const branches = [...(tree.branches as Uint8Array[])]
  await expect(merge()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(merge({ ...tree, branches: branches.slice(1) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(merge({ ...tree, branches: branches.slice(0, -1) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  const changed = branches[0]!.slice()
  changed[40]! ^= 1
  await expect(merge({ ...tree, branches: [changed] })).rejects.toMatchObject({ code: 'CORRUPT_INDEX' })
  expect(() => numLeavesOf(tree.parent.slice(0, 50))).toThrow(expect.objectContaining({ code: 'CORRUPT_INDEX' }))
  await expect(parentTree(Float32Array.from([1, 2, 3]), space, 4, 1)).rejects.toMatchObject({
    code: 'DIMENSION_MISMATCH',
  })
  expect(() => readFileSync(at('bad.ann'))).toThrow()
})
