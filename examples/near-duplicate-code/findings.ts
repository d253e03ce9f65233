import type { Snippet } from './collect.js'

/** One row's neighbors, ascending by distance. */
export interface Neighbors {
  ids: ArrayLike<number>
  distances: ArrayLike<number>
}

/** Two snippets of different packages that are alike. */
export interface Pair {
  a: Snippet
  b: Snippet
  distance: number
}

export interface Findings {
  /** How many rows have their nearest neighbor elsewhere (not among the lines around it) below each bound. */
  histogram: { below: number; label: string; rows: number }[]
  /** Rows with a near copy (below `nearCopy`) in another package. */
  copied: number
  /** The pairs of packages that share the most, by rows. */
  shared: { packages: [string, string]; rows: number }[]
  /** Edited copies that are worth reading, each of another pair of packages. */
  examples: Pair[]
}

export const nearCopy = 0.15
/** What the join looks for: beyond this distance two snippets have no more in common than any two. */
export const maxDistance = 0.3

const bounds: [number, string][] = [
  [1e-5, 'the same words'],
  [0.05, 'a word or two changed'],
  [0.15, 'a line or so changed'],
  [maxDistance, 'half of it the same'],
]

// Indentation, quotes and semicolons are formatters' work: copies that differ in nothing else are no edit.
export const bare = (line: string): string => line.replace(/[\s;]+/g, '').replace(/["`]/g, "'")

const words = (line: string) => new Set(line.match(/[\w$]+/g) ?? [])

/** Whether two lines are one line edited: most of their words are the same. */
function reworded(a: string, b: string): boolean {
  const [x, y] = [words(a), words(b)]
  let common = 0
  for (const word of x) if (y.has(word)) common++
  return common >= 2 && common / (x.size + y.size - common) >= 0.4
}

/** How many lines were edited between two copies that agree line by line otherwise; 0 when they do not, or nothing was. */
function editedLines(a: Snippet, b: Snippet): number {
  let edited = 0
  for (let i = 0; i < a.lines.length; i++) {
    const [x, y] = [a.lines[i]!, b.lines[i]!]
    if (bare(x) === bare(y)) continue
    if (!reworded(x, y)) return 0
    edited++
  }
  return edited
}

const overlap = (a: Snippet, b: Snippet) => a.path === b.path && a.line <= b.lastLine && b.line <= a.lastLine

/** How good an example a snippet is: much text, in lines that fit a terminal. */
function legibility({ lines }: Snippet): number {
  const lengths = lines.map((line) => line.trim().length)
  return Math.max(...lengths) > 96 ? 0 : lengths.reduce((sum, length) => sum + length, 0)
}

export function findings(rows: Snippet[], neighbors: Iterable<[row: number, found: Neighbors]>): Findings {
  const histogram = bounds.map(([below, label]) => ({ below, label, rows: 0 }))
  const shared = new Map<string, { packages: [string, string]; rows: number }>()
  const best = new Map<string, Pair & { value: number }>()
  let copied = 0
  for (const [row, { ids, distances }] of neighbors) {
    const a = rows[row]!
    let nearest = 0
    while (nearest < ids.length && overlap(a, rows[ids[nearest]!]!)) nearest++
    if (nearest < ids.length) (histogram.find((bin) => distances[nearest]! < bin.below) ?? histogram.at(-1)!).rows++
    const others = new Set<string>()
    for (let i = 0; i < ids.length && distances[i]! < nearCopy; i++) {
      const b = rows[ids[i]!]!
      if (b.package === a.package) continue
      const packages: [string, string] = a.package < b.package ? [a.package, b.package] : [b.package, a.package]
      const key = packages.join(' ')
      if (!others.has(key)) {
        others.add(key)
        const entry = shared.get(key)
        if (entry) entry.rows++
        else shared.set(key, { packages, rows: 1 })
      }
      const edited = editedLines(a, b)
      const value = edited >= 1 && edited <= 3 ? legibility(a) : 0
      if (value > 120 && value > (best.get(key)?.value ?? 0)) best.set(key, { a, b, distance: distances[i]!, value })
    }
    if (others.size > 0) copied++
  }
  const byRows = [...shared.entries()].sort(([, x], [, y]) => y.rows - x.rows)
  const examples: Pair[] = []
  const shown = new Set<string>()
  for (const { a, b, distance } of [...best.values()].sort((x, y) => y.value - x.value || x.distance - y.distance)) {
    if (shown.has(a.package) || shown.has(b.package)) continue
    shown.add(a.package).add(b.package)
    examples.push({ a, b, distance })
  }
  return {
    histogram,
    copied,
    shared: byRows.slice(0, 6).map(([, entry]) => entry),
    examples: examples.slice(0, 4),
  }
}
