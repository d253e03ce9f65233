// Seeded samples. Which rows are drawn depends on the seed and the number of rows alone.

/** SplitMix32-style generator: uniform 32-bit integers from a seed of up to 53 bits. */
export function randomSource(seed: number): () => number {
  let state = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b1)) >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
}

/** The samples of one join: one to choose an effort on, any number of others to validate it on. */
export class Samples {
  /** The same for whoever chooses. */
  readonly chosen: Uint32Array
  readonly size: number
  readonly #sampler: RowSampler
  #next: Uint32Array | undefined

  /** `choosing`: rows to choose on, if not as many as to validate on. */
  constructor(numRows: number, seed: number, size: number, choosing: number = size) {
    this.size = size
    this.#sampler = new RowSampler(numRows, seed)
    this.chosen = this.#sampler.take(Math.min(choosing, numRows))
  }

  /** Rows that no sample had before; undefined when none are left. */
  fresh(): Uint32Array | undefined {
    const next = this.next()
    this.#next = undefined
    return next
  }

  /** What `fresh` gives next. */
  next(): Uint32Array | undefined {
    if (!this.#next && this.#sampler.left > 0) this.#next = this.#sampler.take(this.size)
    return this.#next
  }
}

/** Draws disjoint uniform samples of row numbers. */
export class RowSampler {
  readonly #numRows: number
  readonly #next: () => number
  readonly #drawn = new Set<number>()

  constructor(numRows: number, seed: number) {
    this.#numRows = numRows
    this.#next = randomSource(seed)
  }

  /** Rows not drawn yet. */
  get left(): number {
    return this.#numRows - this.#drawn.size
  }

  /** `count` rows never drawn before, ascending; all that are left if those are fewer. */
  take(count: number): Uint32Array {
    const rows: number[] = []
    if (count >= this.left || count > this.left / 2) return this.#takeMost(Math.min(count, this.left))
    while (rows.length < count) {
      const row = this.#below(this.#numRows)
      if (this.#drawn.has(row)) continue
      this.#drawn.add(row)
      rows.push(row)
    }
    return Uint32Array.from(rows).sort()
  }

  /** Most of what is left: a partial shuffle, since drawing at random would mostly hit what is taken. */
  #takeMost(count: number): Uint32Array {
    const rows: number[] = []
    for (let row = 0; row < this.#numRows; row++) if (!this.#drawn.has(row)) rows.push(row)
    for (let i = 0; i < count; i++) {
      const j = i + this.#below(rows.length - i)
      const row = rows[j]!
      rows[j] = rows[i]!
      rows[i] = row
      this.#drawn.add(row)
    }
    return Uint32Array.from(rows.slice(0, count)).sort()
  }

  /** Uniform in 0..limit, without the bias of a modulo. */
  #below(limit: number): number {
    const bound = 2 ** 32 - (2 ** 32 % limit)
    for (;;) {
      const value = this.#next()
      if (value < bound) return value % limit
    }
  }
}
