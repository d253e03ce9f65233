// Cells of k-means on a sample, and partitions made of neighboring cells that have about equal parts of the sample.
import { CellCenters } from './nearest-cells.ts'

export interface Cells {
  /** Dimensions of a center. */
  dim: number
  centers: Float32Array
  /** The partition of each cell. */
  partitionOf: Uint32Array
  numPartitions: number
}

export interface CellOptions {
  numCells: number
  numPartitions: number
  /** Whole numbers of 32 bits. */
  random: () => number
  threads: number
}

const ROUNDS = 8
/** Rounds of the two means that tell where to cut. */
const CUT_ROUNDS = 6

/** Cells of `sample`, dealt to `numPartitions` partitions. The same sample and random numbers give the same cells. */
export async function trainCells(
  sample: Float32Array,
  dim: number,
  { numCells, numPartitions, random, threads }: CellOptions,
): Promise<Cells> {
  const rows = sample.length / dim
  let centers = distinctRows(sample, dim, Math.min(numCells, rows), random)
  let counts = new Float64Array(0)
  for (let round = 0; round < ROUNDS; round++) {
    const nearest = await nearestOf(sample, centers, dim, threads)
    const next = means(sample, nearest, centers, dim)
    counts = next.counts
    centers = round + 1 < ROUNDS ? next.centers : centers
  }
  const numCellsFound = centers.length / dim
  const partitionOf = new Uint32Array(numCellsFound)
  const all = Uint32Array.from({ length: numCellsFound }, (_, i) => i)
  const parts = Math.max(1, Math.min(numPartitions, numCellsFound))
  deal(all, 0, parts, { centers, dim, counts, partitionOf })
  return { dim, centers, partitionOf, numPartitions: parts }
}

async function nearestOf(sample: Float32Array, centers: Float32Array, dim: number, threads: number) {
  const search = await CellCenters.create(centers, dim, threads)
  try {
    return (await search.nearest(sample, 1)).cells
  } finally {
    search.dispose()
  }
}

/** Rows drawn from the sample, no two of them equal: fewer where there are no more. */
function distinctRows(sample: Float32Array, dim: number, count: number, random: () => number): Float32Array {
  const rows = sample.length / dim
  const order = Uint32Array.from({ length: rows }, (_, i) => i)
  for (let i = rows - 1; i > 0; i--) {
    const j = random() % (i + 1)
    const row = order[i]!
    order[i] = order[j]!
    order[j] = row
  }
  const seen = new Set<string>()
  const out: Float32Array[] = []
  for (const row of order) {
    if (out.length === count) break
    const vector = sample.slice(row * dim, (row + 1) * dim)
    const key = Buffer.from(vector.buffer).toString('latin1')
    if (!seen.has(key)) out.push(vector)
    seen.add(key)
  }
  const all = new Float32Array(out.length * dim)
  for (const [i, vector] of out.entries()) all.set(vector, i * dim)
  return all
}

/** The means of the rows of each cell; a cell without rows stays where it was. */
function means(sample: Float32Array, cells: Uint32Array, before: Float32Array, dim: number) {
  const sums = new Float64Array(before.length)
  const counts = new Float64Array(before.length / dim)
  for (const [row, cell] of cells.entries()) {
    counts[cell]!++
    for (let i = 0; i < dim; i++) sums[cell * dim + i]! += sample[row * dim + i]!
  }
  const centers = Float32Array.from(sums, (sum, i) => {
    const count = counts[Math.floor(i / dim)]!
    return count > 0 ? sum / count : before[i]!
  })
  return { centers, counts }
}

interface Dealing {
  centers: Float32Array
  dim: number
  counts: Float64Array
  partitionOf: Uint32Array
}

/** Cuts cells in two along the line between two means of them, where the parts weigh as the partitions of each side, and so on. */
function deal(cells: Uint32Array, first: number, parts: number, dealing: Dealing): void {
  const { counts, partitionOf } = dealing
  if (parts === 1) {
    for (const cell of cells) partitionOf[cell] = first
    return
  }
  const left = Math.floor(parts / 2)
  const along = direction(cells, dealing)
  const order = [...cells].sort((a, b) => along[a]! - along[b]! || a - b)
  const total = order.reduce((sum, cell) => sum + counts[cell]!, 0)
  let weight = 0
  let cut = 0
  // Each side keeps as many cells as it has partitions.
  while (cut < order.length - (parts - left)) {
    const next = counts[order[cut]!]!
    if (cut >= left && weight + next / 2 > (total * left) / parts) break
    weight += next
    cut++
  }
  deal(Uint32Array.from(order.slice(0, cut)), first, left, dealing)
  deal(Uint32Array.from(order.slice(cut)), first + left, parts - left, dealing)
}

/** Where each cell is on the line between two means. */
function direction(cells: Uint32Array, { centers, dim, counts }: Dealing): Float64Array {
  const at = (cell: number) => centers.subarray(cell * dim, (cell + 1) * dim)
  let a = Float64Array.from(at(cells[0]!))
  let b = Float64Array.from(at(cells[0]!))
  let far = -1
  for (const cell of cells) {
    const distance = squared(at(cell), a)
    if (distance > far) [far, b] = [distance, Float64Array.from(at(cell))]
  }
  for (let round = 0; round < CUT_ROUNDS; round++) {
    const sums = [new Float64Array(dim), new Float64Array(dim)] as const
    const weights = [0, 0]
    for (const cell of cells) {
      const side = squared(at(cell), a) <= squared(at(cell), b) ? 0 : 1
      const weight = counts[cell]! + 1e-9
      weights[side]! += weight
      for (let i = 0; i < dim; i++) sums[side][i]! += weight * centers[cell * dim + i]!
    }
    if (weights[0] === 0 || weights[1] === 0) break
    a = sums[0].map((sum) => sum / weights[0]!)
    b = sums[1].map((sum) => sum / weights[1]!)
  }
  const along = new Float64Array(centers.length / dim)
  for (const cell of cells) {
    for (let i = 0; i < dim; i++) along[cell]! += centers[cell * dim + i]! * (b[i]! - a[i]!)
  }
  return along
}

function squared(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return sum
}
