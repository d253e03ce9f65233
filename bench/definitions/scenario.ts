export type Params = Record<string, number | string | boolean>

/** One build, and rows of settings to search it with: each row in order of effort, and left when it has reached the recall. */
export interface Trial {
  build: Params
  searches: Params[][]
}

/** What a grid may go by. */
export interface Shape {
  rows: number
  dim: number
  threads: number
  k: number
  targets: number[]
}

export type Grid = (shape: Shape) => Trial[]

export interface Scenario {
  name: string
  about: string
  dataset: 'photo-sift' | 'mixture-clustered' | 'mixture-tailed' | 'text' | 'patches'
  metric: 'l2' | 'cosine'
  k: number
  /** A self join, or the dataset's queries against its items. */
  mode: 'self' | 'queries'
  /** What is to be short: a whole join with its build, or the search alone. */
  counts: 'join' | 'search'
  /** Each setting stands for itself (a table of all of them), instead of the best standing for its engine. */
  compare?: 'settings'
  rows: number[]
  /** Recalls to reach. An engine that does not reach one has no time for it. */
  targets: number[]
  /** Go on with the grid up to this recall, for the curve. */
  curveTo?: number
  threads: (number | 'all')[]
  /** How many of the queries; all of them without it. */
  numQueries?: number
  /** Ask so many queries at a time; undefined is all at once. */
  batches?: (number | undefined)[]
  engines: Record<string, Grid>
}
