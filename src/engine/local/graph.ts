// The graph of a self join in native memory.
import type { ItemIndex } from '../../indexes/item-index.ts'
import type { Around } from '../../join/cost.ts'
import { type CallOptions, call, type NativeGraph, type NativeNeighbors, type SearchOptions } from '../../native.ts'
import type { Ask } from '../../search/search.ts'

export class LocalGraph {
  readonly #graph: NativeGraph
  readonly #index: ItemIndex
  readonly #ask: Ask
  readonly #seed: number

  private constructor(graph: NativeGraph, index: ItemIndex, ask: Ask, seed: number) {
    this.#graph = graph
    this.#index = index
    this.#ask = ask
    this.#seed = seed
  }

  /** An empty graph of `width` candidates a row, over the lists of the index. */
  static async create(index: ItemIndex, ask: Ask, width: number, seed: number): Promise<LocalGraph> {
    const { items, clusters } = index
    if (!clusters) throw new Error('a graph before the items were clustered')
    const graph = await call((native) => native.newGraph(items, clusters, width), {})
    return new LocalGraph(graph, index, ask, seed)
  }

  /** Scans the lists of the ranks from `from` to `to` for every row. */
  probe(from: number, to: number, options: CallOptions): Promise<void> {
    const { items, clusters } = this.#index
    return call((_, job) => this.#graph.probe(items, clusters!, from, to, this.#ask.threads, job), options)
  }

  round({ forward, reverse }: Around, number: number, options: CallOptions): Promise<void> {
    const [{ threads }, { items, clusters }] = [this.#ask, this.#index]
    const seed = this.#seed + number
    return call((_, job) => this.#graph.localJoin(items, clusters!, forward, reverse, seed, threads, job), options)
  }

  /** What a round would find for some rows. */
  preview(
    rows: Uint32Array,
    { forward, reverse }: Around,
    number: number,
    options: CallOptions,
  ): Promise<NativeNeighbors> {
    const { items } = this.#index
    const asked = { ...this.#options(), rows }
    return call((_, job) => this.#graph.preview(items, asked, forward, reverse, this.#seed + number, job), options)
  }

  finish(options: CallOptions): Promise<void> {
    const { k, includeSelf, threads } = this.#ask
    return call((_, job) => this.#graph.finish(this.#index.items, k, includeSelf, threads, job), options)
  }

  /** The neighbors of some rows, or of a range of them. */
  neighbors(rows: Uint32Array | { first: number; count: number }, options: CallOptions): Promise<NativeNeighbors> {
    const asked = rows instanceof Uint32Array ? { rows } : rows
    return call((_, job) => this.#graph.neighbors(this.#index.items, { ...this.#options(), ...asked }, job), options)
  }

  dispose(): void {
    this.#graph.dispose()
  }

  #options(): SearchOptions {
    const { k, includeSelf, threads, maxDistance } = this.#ask
    return { k, includeSelf, threads, ...(maxDistance === undefined ? {} : { maxDistance }) }
  }
}
