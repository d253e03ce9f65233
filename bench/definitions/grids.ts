// The settings that each engine may choose from, cheap builds first: after one that is over the limit there are no more. METHODOLOGY.md says what they favor.
import type { Grid, Params, Trial } from './scenario.ts'

const trials = (builds: Params[], ...searches: Params[][]): Trial[] => builds.map((build) => ({ build, searches }))
const powerOfTwo = (x: number) => 2 ** Math.max(4, Math.round(Math.log2(x)))
const each = (name: string, values: number[]): Params[] => values.map((value) => ({ [name]: value }))

/** nigh is asked for the target, and for a little more where the judge's sample finds less than that. */
export const nigh: Grid = ({ targets }) => {
  const recalls = targets.flatMap((target) => [target, target + 0.01, target + 0.02]).filter((recall) => recall < 1)
  const asked = [...new Set(recalls.map((recall) => Number(recall.toFixed(3))))].sort((a, b) => a - b)
  return trials([{}], each('recall', asked))
}

/** The model that stays: a recall is chosen when it is fitted. */
export const nighPrebuilt: Grid = (shape) => nigh(shape).flatMap(({ searches }) => trials(searches.flat(), [{}]))

export const exact: Grid = () => trials([{}], [{ exact: true }])
export const exactPrebuilt: Grid = () => trials([{ exact: true }], [{}])
export const flat: Grid = () => trials([{}], [{}])

export const hnswlib: Grid = () =>
  trials(
    [40, 60, 100, 200].flatMap((efConstruction) => [8, 16].map((m) => ({ m, efConstruction }))),
    each('ef', [11, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]),
  )

export const ivfFlat: Grid = ({ rows }) => {
  const sizes = [0.5, 1, 2, 4].map((factor) => powerOfTwo(factor * Math.sqrt(rows)))
  return trials(each('nlist', sizes), each('nprobe', [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256]))
}

export const ivfFastScan: Grid = ({ rows, dim }) => {
  const nlist = powerOfTwo(2 * Math.sqrt(rows))
  const probes = [2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256]
  return trials(
    [dim / 8, dim / 4, ...(dim <= 256 ? [dim / 2] : [])].map((pq) => ({ nlist, pq })),
    ...[4, 10, 30].map((refine) => probes.map((nprobe) => ({ nprobe, refine }))),
  )
}

/** In a self join there is nothing to search: each build is an answer. */
export const pynndescent: Grid = ({ k }) => {
  const sizes = [k + 1, 15, 20, 30, 45, 60]
  const builds: Params[] = [...new Set(sizes)].filter((n) => n > k).map((nNeighbors) => ({ nNeighbors }))
  return trials([...builds, { nNeighbors: 30, maxCandidates: 20 }], [{}])
}

export const pynndescentQueries: Grid = () =>
  trials(each('nNeighbors', [15, 30]), each('epsilon', [0, 0.05, 0.1, 0.15, 0.2, 0.3]))

export const scann: Grid = ({ rows }) => {
  const leaves = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256]
  return trials(
    [1, 2].map((factor) => ({ numLeaves: Math.round(factor * Math.sqrt(rows)), dimsPerBlock: 2 })),
    ...[40, 100].map((reorder) => leaves.map((count) => ({ leaves: count, reorder }))),
  )
}

export const svs: Grid = () =>
  trials(
    [
      { degree: 16, window: 32 },
      { degree: 32, window: 40 },
      { degree: 32, window: 64 },
      { degree: 32, window: 128 },
      { degree: 64, window: 128 },
      { degree: 32, window: 64, lvq: '4x8' },
      { degree: 32, window: 128, lvq: '4x8' },
    ],
    each('window', [11, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]),
  )

export const annoy: Grid = ({ k }) =>
  [10, 30, 100].flatMap((numTrees) => {
    const searchK = [0.5, 1, 2, 4, 8, 16].map((factor) => Math.round(factor * numTrees * k * 4))
    return trials([{ numTrees }], each('searchK', searchK))
  })

/** Graphs of one quality: what each library calls m 16 and efConstruction 200. */
const GRAPH = { m: 16, efConstruction: 200 }
const EFS = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512]

export const graphs: Grid = () => trials([GRAPH], each('ef', EFS))
export const nighHnsw: Grid = () => trials([{ kind: 'hnsw', ...GRAPH }], each('effort', EFS))
/** One build an engine, from how many rows on all of a grid would take a day. */
const ONE_BUILD = 1_000_000
const oneBuild =
  (grid: Grid, which: (build: Params) => boolean): Grid =>
  (shape) =>
    grid(shape).filter(({ build }) => shape.rows < ONE_BUILD || which(build))

/** What each of them chose at 100,000 rows, or the quality of the graphs. */
export const svsIndex: Grid = oneBuild(svs, ({ degree, window, lvq }) => degree === 32 && window === 128 && !lvq)
export const scannIndex: Grid = ({ rows, ...shape }) => scann({ rows, ...shape }).slice(rows < ONE_BUILD ? 0 : -1)
export const ivfIndex: Grid = ({ rows, dim, ...shape }) =>
  ivfFastScan({ rows, dim, ...shape }).filter(({ build }) => rows < ONE_BUILD || build.pq === dim / 2)
export const annoyIndex: Grid = oneBuild(annoy, ({ numTrees }) => numTrees === 30)
export const nighCluster =
  (codes: 'int8' | 'int4' | 'bit1'): Grid =>
  () =>
    trials(
      [{ kind: 'cluster', ...(codes === 'int8' ? {} : { codes }) }],
      each('effort', [4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256]),
    )
export const nighForest: Grid = (shape) =>
  annoyIndex(shape).map(({ build, searches }) => ({
    build: { kind: 'forest', ...build },
    searches: searches.map((row) => row.map(({ searchK }) => ({ effort: searchK! }))),
  }))
