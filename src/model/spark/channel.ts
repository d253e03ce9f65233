// Values from a callback to a loop; the callback waits while the loop has enough to do.

export class Channel<T> {
  readonly #held: T[] = []
  readonly #most: number
  #ended = false
  #error: unknown
  #wake: () => void = () => {}
  #room: () => void = () => {}

  constructor(most = 4) {
    this.#most = most
  }

  async push(value: T): Promise<void> {
    this.#held.push(value)
    this.#wake()
    while (this.#held.length >= this.#most) await new Promise<void>((resolve) => (this.#room = resolve))
  }

  end(error?: unknown): void {
    this.#ended = true
    this.#error = error
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.#held.length > 0) {
        const value = this.#held.shift()!
        this.#room()
        yield value
      }
      if (this.#ended) break
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (this.#error !== undefined) throw this.#error
  }
}
