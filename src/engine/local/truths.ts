// Exact answers of sampled queries, and recalls against them.
import type { ItemIndex } from '../../indexes/item-index.ts'
import { exactPrecision } from '../../join/cost.ts'
import type { Plan } from '../../join/plan.ts'
import { callNow, type NativeNeighbors } from '../../native.ts'
import { type Ask, search } from '../../search/search.ts'
import type { EngineCall } from '../engine.ts'

/** The truth of each sample is computed at its first use and kept. */
export class Truths {
  readonly #known = new Map<Uint32Array, NativeNeighbors>()
  readonly #index: ItemIndex
  readonly #plan: Plan
  readonly #ask: Ask
  readonly #call: EngineCall

  constructor(index: ItemIndex, plan: Plan, ask: Ask, call: EngineCall) {
    this.#index = index
    this.#plan = plan
    this.#ask = ask
    this.#call = call
  }

  /** The recall of each row of a sample; frees what was found. */
  async recall(rows: Uint32Array, found: NativeNeighbors): Promise<Float32Array> {
    try {
      const truth = await this.#of(rows)
      return callNow((native) => native.recall(truth, found))
    } finally {
      found.dispose()
    }
  }

  /** Computes the truth of a sample ahead of its use: while there is memory to spare. */
  async prepare(rows: Uint32Array): Promise<void> {
    await this.#of(rows)
  }

  dispose(): void {
    for (const truth of this.#known.values()) truth.dispose()
    this.#known.clear()
  }

  async #of(rows: Uint32Array): Promise<NativeNeighbors> {
    const known = this.#known.get(rows)
    if (known) return known
    const { signal, onProgress: tell } = this.#call
    const { shape, level } = this.#plan
    const onProgress =
      tell &&
      (({ done, total }: { done: number; total: number }) => {
        tell({ stage: 'tune', done: total === 0 ? 0 : (done / total) * rows.length, total: rows.length })
      })
    const precision = exactPrecision(shape, this.#ask.k, level)
    const method = { method: 'exact', precision } as const
    const truth = await search(this.#index, { ...this.#ask, rows }, method, { signal, onProgress })
    this.#known.set(rows, truth)
    return truth
  }
}
