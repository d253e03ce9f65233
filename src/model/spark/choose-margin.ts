// How far queries look beyond their own partition: the least margin at which sampled queries meet enough of their exact neighbors.
import { meetingMargin, type Route } from '../../partition/router.ts'

/** The exact neighbors of a query: their row numbers, distances, and the partitions they are in or near. */
export interface Truth {
  rows: number[]
  distances: number[]
  routes: Route[]
}

export interface Margin {
  margin: number
  /** The part of the exact neighbors that queries meet at it. */
  recall: number
  /** Partitions a query goes to, on average. */
  spread: number
}

export function chooseMargin(
  queries: readonly Route[],
  truths: readonly Truth[],
  recall: number,
  itemsAsk: boolean,
): Margin {
  // Each query counts once, however many neighbors it has.
  const pairs = truths.flatMap(({ routes }, i) =>
    routes.map((route) => ({ margin: meetingMargin(queries[i]!, route, itemsAsk), weight: 1 / routes.length })),
  )
  pairs.sort((a, b) => a.margin - b.margin)
  const total = pairs.reduce((sum, { weight }) => sum + weight, 0)
  let [met, margin] = [0, 0]
  for (const pair of pairs) {
    if (met >= recall * total - 1e-9 || pair.margin === Number.POSITIVE_INFINITY) break
    margin = pair.margin
    met += pair.weight
  }
  const reached = pairs.reduce((sum, pair) => sum + (pair.margin <= margin ? pair.weight : 0), 0)
  const near = ({ margins }: Route) => margins.filter((own) => own <= margin).length
  const spread = queries.reduce((sum, route) => sum + near(route), 0) / Math.max(1, queries.length)
  return { margin, recall: total > 0 ? reached / total : 1, spread: Math.max(1, spread) }
}

/** The recall of each query: neighbors that are among its exact ones or as near as the last of these. */
export function recallsOf(
  truths: readonly Truth[],
  found: readonly { rows: number[]; distances: number[] }[],
): Float32Array {
  return Float32Array.from(truths, ({ rows, distances }, i) => {
    if (rows.length === 0) return 1
    const exact = new Set(rows)
    const last = distances.at(-1)!
    const own = found[i]!
    const hits = own.rows.filter((row, j) => exact.has(row) || own.distances[j]! <= last).length
    return Math.min(1, hits / rows.length)
  })
}
