/** A value that its column cannot hold, by its place among the values at hand; what is around it knows the row. */
export class BadValue extends Error {
  readonly index: number

  constructor(index: number, message: string) {
    super(message)
    this.index = index
  }

  /** The same, at its place among the values around it. */
  at(index: number): BadValue {
    return new BadValue(index, this.message)
  }
}

/** A value in a message, cut short. */
export function show(value: unknown): string {
  const text =
    typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
