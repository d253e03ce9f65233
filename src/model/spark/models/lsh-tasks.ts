// Tasks of a similarity join: rows to the partitions of their buckets, and in each partition the pairs that first meet there.
import { Float32, Float64, Int32, makeData, Table, Vector, vectorFromArray } from 'apache-arrow'
import { call, callNow, type NativeArrow, type NativeHasher, type NativeTable } from '../../../native.ts'
import { tableFromIpc, tableToIpc } from '../../../table/ipc.ts'
import { readVectors } from '../../../table/read.ts'
import { hashedBy, newHasher } from '../../lsh-items.ts'
import { joinHashed } from '../../lsh-join.ts'
import type { LshParams } from '../../lsh-params.ts'
import { numbersOf } from '../control-rows.ts'
import { sparkHash } from '../shuffle-keys.ts'
import { inParts, type Piece, pieceRow, piecesOf } from './blocks.ts'
import type { ItemBlocks } from './build-tasks.ts'
import { type Buckets, cutsOf, partitionOfPair, partitionsOfRow } from './lsh-buckets.ts'
import { concatTables, readBlock } from './source.ts'

export interface Hashing {
  side: 'a' | 'b'
  /** Absent where Spark has the rows. */
  items: ItemBlocks | undefined
  params: LshParams
  dim: number
  bits: boolean
  idCol: string
  featuresCol: string
}

/** Ids, vectors and the hashes of some rows; rows whose vectors are none may have been dropped. */
interface Hashed {
  rows: Table
  hashes: Float64Array
}

const hasherOf = ({ params, dim, bits }: Hashing): NativeHasher => newHasher(params, { dim, bits })

async function* hashedRows(input: AsyncIterable<Table>, stage: Hashing): AsyncGenerator<Hashed> {
  const { items, params, idCol, featuresCol, bits } = stage
  const hasher = hasherOf(stage)
  const tables = items ? blocksOf(input, items) : input
  for await (const table of tables) {
    if (table.numRows === 0) continue
    const { onInvalid, threads } = params
    const reading = { idCol, featuresCol, bits, onInvalid, threads, side: 'item' }
    const read = await readVectors(table, reading, {})
    try {
      callNow(() => hasher.check(read))
      const hashes = await call(() => hasher.hash(read, threads), {})
      const rows = tableFromIpc(await call((native) => native.itemsIpc(read, VECTOR), {}))
      if (rows.numRows > 0)
        yield { rows: new Table({ [KEY]: rows.getChildAt(0)!, [VECTOR]: rows.getChild(VECTOR)! }), hashes }
    } finally {
      read.dispose()
    }
  }
}

// No column of ids: rows are numbered where pairs are looked for.
const KEY = 'key'
const VECTOR = 'vector'
const SPIN = 'spin'

async function* blocksOf(control: AsyncIterable<Table>, { files, blocks, columns }: ItemBlocks): AsyncGenerator<Table> {
  for await (const block of numbersOf(control)) yield await readBlock(files, blocks[block]!, columns)
}

/** Buckets that are counted at a time. */
const MOST_COUNTED = 1 << 20

/** How many rows of a side each bucket has: (hash table, hash, rows of a, rows of b). */
export async function* countBuckets(input: AsyncIterable<Table>, stage: Hashing): AsyncGenerator<Table> {
  const numTables = stage.params.hash.numTables
  const counts = Array.from({ length: numTables }, () => new Map<number, number>())
  let size = 0
  const told = () => {
    const [tables, hashes, rows]: number[][] = [[], [], []]
    for (const [table, own] of counts.entries()) {
      for (const [hash, count] of own) {
        tables!.push(table)
        hashes!.push(hash)
        rows!.push(count)
      }
      own.clear()
    }
    size = 0
    const none = vectorFromArray(new Array<number>(tables!.length).fill(0), new Float64())
    const some = vectorFromArray(rows!, new Float64())
    return new Table({
      bucket: vectorFromArray(tables!, new Int32()),
      hash: vectorFromArray(hashes!, new Float64()),
      a: stage.side === 'a' ? some : none,
      b: stage.side === 'b' ? some : none,
    })
  }
  for await (const { hashes } of hashedRows(input, stage)) {
    for (const [i, hash] of hashes.entries()) {
      const own = counts[i % numTables]!
      const before = own.get(hash)
      if (before === undefined) size++
      own.set(hash, (before ?? 0) + 1)
    }
    if (size >= MOST_COUNTED) yield told()
  }
  if (size > 0) yield told()
}

/** Rows to the partitions of their buckets, to each of these once. */
export async function* spreadBuckets(
  input: AsyncIterable<Table>,
  stage: Hashing & { buckets: Buckets; keys: number[] },
): AsyncGenerator<Table> {
  const { side, buckets, keys, params } = stage
  const { numTables } = params.hash
  const cutOf = cutsOf(buckets)
  const source = Number(process.env.NIGH_PARTITION ?? 0)
  let place = 0
  let number = 0
  for await (const { rows, hashes } of hashedRows(input, stage)) {
    const spins = Int32Array.from({ length: rows.numRows }, () => sparkHash(source ^ sparkHash(number++)) & 0x7fffffff)
    const going = new Map<number, number[]>()
    for (let row = 0; row < rows.numRows; row++) {
      const spin = spins[row]!
      for (let table = 0; table < numTables; table++) {
        const hash = hashes[row * numTables + table]!
        for (const partition of partitionsOfRow(side, table, hash, spin, buckets, cutOf(table, hash))) {
          const own = going.get(partition)
          if (!own) going.set(partition, [row])
          else if (own.at(-1) !== row) own.push(row)
        }
      }
    }
    const spun = new Vector([makeData({ type: new Int32(), data: spins })])
    const ipc = tableToIpc(new Table({ [KEY]: whole(rows, KEY), [VECTOR]: whole(rows, VECTOR), [SPIN]: spun }))
    const all = await call((native) => native.arrowFromIpc(ipc), {})
    try {
      for (const [partition, own] of going) {
        const some = await call(() => all.take(Uint32Array.from(own)), {})
        const part = await call(() => some.toIpc(), {}).finally(() => some.dispose())
        for (const table of inParts(tableFromIpc(part), part.length)) {
          yield pieceRow({ key: keys[partition]!, name: side, source, place: place++, table })
        }
      }
    } finally {
      all.dispose()
    }
  }
}

const whole = (table: Table, name: string): Vector => table.getChild(name)!

interface Verifying {
  params: LshParams
  dim: number
  bits: boolean
  buckets: Buckets
  keys: number[]
  threshold: number
  /** Of the columns: ids of both sides, distances. */
  names: string[]
}

/** The pairs of each partition that meet there first. Pieces of one key come together, those of side a before those of side b. */
export async function* verifyPairs(pieces: AsyncIterable<Table>, stage: Verifying): AsyncGenerator<Table> {
  let group: Piece[] = []
  for await (const piece of piecesOf(pieces)) {
    if (group.length > 0 && group[0]!.key !== piece.key) {
      yield* pairsOf(group, stage)
      group = []
    }
    group.push(piece)
  }
  if (group.length > 0) yield* pairsOf(group, stage)
}

async function* pairsOf(pieces: readonly Piece[], stage: Verifying): AsyncGenerator<Table> {
  const { params, keys, buckets, threshold, names } = stage
  const own = keys.indexOf(pieces[0]!.key)
  const of = (side: string) => pieces.filter(({ name }) => name === side).map(({ table }) => table)
  const [left, right] = [of('a'), of('b')]
  if (left.length === 0 || (!buckets.isSelf && right.length === 0)) return
  const a = await sideOf(concatTables(left), stage)
  const b = buckets.isSelf ? a : await sideOf(concatTables(right), stage)
  const cutOf = cutsOf(buckets)
  const { numTables } = params.hash
  const hashesOf = (side: Side, row: number) => side.hashes.subarray(row * numTables, (row + 1) * numTables)
  try {
    const found = joinHashed(
      a.hashed,
      buckets.isSelf ? undefined : b.hashed,
      threshold,
      ['a', 'b', 'distance'],
      params,
      {},
    )
    for await (const table of found) {
      const [rowsA, rowsB] = ['a', 'b'].map((name) => table.getChild(name)!.toArray() as BigInt64Array)
      const distances = table.getChild('distance')!.toArray() as Float32Array
      const keep: number[] = []
      for (let i = 0; i < table.numRows; i++) {
        const [x, y] = [Number(rowsA![i]), Number(rowsB![i])]
        const at = partitionOfPair(hashesOf(a, x), hashesOf(b, y), a.spins[x]!, b.spins[y]!, buckets, cutOf)
        if (at === own) keep.push(i)
      }
      if (keep.length === 0) continue
      const idsA = await taken(a, keep, rowsA!)
      const idsB = await taken(b, keep, rowsB!)
      const near = new Vector([makeData({ type: new Float32(), data: Float32Array.from(keep, (i) => distances[i]!) })])
      yield new Table({ [names[0]!]: idsA, [names[1]!]: idsB, [names[2]!]: near })
    }
  } finally {
    a.dispose()
    if (b !== a) b.dispose()
  }
}

type Side = Awaited<ReturnType<typeof sideOf>>

async function sideOf(rows: Table, { params, dim, bits }: Verifying) {
  const { onInvalid, threads } = params
  const hasher = newHasher(params, { dim, bits })
  const vectors = rows.select([VECTOR])
  const read: NativeTable = await readVectors(
    vectors,
    { featuresCol: VECTOR, bits, onInvalid, threads, side: 'item' },
    {},
  )
  const hashes = await call(() => hasher.hash(read, threads), {})
  const hashed = await hashedBy(hasher, read, params, {})
  const spins = rows.getChild(SPIN)!.toArray() as Int32Array
  const ipc = tableToIpc(rows.select([KEY]))
  const ids: NativeArrow = await call((native) => native.arrowFromIpc(ipc), {})
  const dispose = () => {
    hashed.dispose()
    ids.dispose()
  }
  return { hashed, hashes, spins, ids, dispose }
}

/** The ids of some pairs, by the numbers of their rows. */
async function taken({ ids }: Side, pairs: readonly number[], rows: BigInt64Array): Promise<Vector> {
  const some = await call(() => ids.take(Uint32Array.from(pairs, (i) => Number(rows[i]))), {})
  const ipc = await call(() => some.toIpc(), {}).finally(() => some.dispose())
  return tableFromIpc(ipc).getChild(KEY)!
}
