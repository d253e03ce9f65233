import * as grids from './grids.ts'
import type { Grid, Scenario } from './scenario.ts'

const sizes = [10_000, 100_000, 1_000_000]
const sevenSizes = [...sizes, 10_000_000]

const rivals: Record<string, Grid> = {
  hnswlib: grids.hnswlib,
  'faiss-ivf': grids.ivfFlat,
  'faiss-ivfpq': grids.ivfFastScan,
  pynndescent: grids.pynndescent,
  scann: grids.scann,
  svs: grids.svs,
  annoy: grids.annoy,
}
const self: Pick<Scenario, 'metric' | 'k' | 'mode' | 'counts' | 'threads'> = {
  metric: 'l2',
  k: 10,
  mode: 'self',
  counts: 'join',
  threads: [1],
}
const joins: Record<string, Grid> = { nigh: grids.nigh, ...rivals }

const indexes: Record<string, Grid> = {
  'nigh-hnsw': grids.nighHnsw,
  'nigh-cluster': grids.nighCluster('int8'),
  'nigh-cluster-int4': grids.nighCluster('int4'),
  'nigh-cluster-bit1': grids.nighCluster('bit1'),
  'nigh-forest': grids.nighForest,
  hnswlib: grids.graphs,
  usearch: grids.graphs,
  'faiss-hnsw': grids.graphs,
  'faiss-ivfpq': grids.ivfFastScan,
  scann: grids.scann,
  svs: grids.svs,
  annoy: grids.annoy,
}

const eachSetting = (name: string, values: string[], recall = 0.95): Grid => {
  return () => [{ build: {}, searches: [values.map((value) => ({ recall, [name]: value }))] }]
}

export const scenarios: Scenario[] = [
  {
    ...self,
    name: 'self-sift',
    about: 'self join of SIFT descriptors of photographs',
    dataset: 'photo-sift',
    rows: sizes,
    targets: [0.9, 0.95, 0.99],
    engines: joins,
  },
  {
    ...self,
    name: 'self-text',
    about: "self join of the demo's vectors of code, by cosine",
    dataset: 'text',
    metric: 'cosine',
    rows: [10_000, 100_000, 250_000],
    targets: [0.95],
    engines: joins,
  },
  {
    ...self,
    name: 'self-tailed',
    about: 'self join of a mixture with a heavy tail of cluster sizes',
    dataset: 'mixture-tailed',
    rows: sevenSizes,
    targets: [0.9, 0.95],
    engines: joins,
  },
  {
    ...self,
    name: 'self-clustered',
    about: 'self join of a mixture of 10,000 clusters',
    dataset: 'mixture-clustered',
    rows: sevenSizes,
    targets: [0.95],
    engines: joins,
  },
  {
    ...self,
    name: 'self-patches',
    about: 'self join of image patches of 768 dimensions',
    dataset: 'patches',
    rows: sizes,
    targets: [0.95],
    engines: joins,
  },
  {
    ...self,
    name: 'exact',
    about: '10,000 queries against all items, nothing left out',
    dataset: 'photo-sift',
    mode: 'queries',
    rows: sizes,
    targets: [0.999],
    engines: { nigh: grids.exact, 'nigh-prebuilt': grids.exactPrebuilt, 'faiss-flat': grids.flat },
  },
  {
    ...self,
    name: 'queries-sift',
    about: '10,000 queries against an index that stands; building is reported beside',
    dataset: 'photo-sift',
    mode: 'queries',
    counts: 'search',
    rows: sizes,
    targets: [0.96],
    curveTo: 0.99,
    engines: { 'nigh-prebuilt': grids.nighPrebuilt, ...rivals, pynndescent: grids.pynndescentQueries },
  },
  {
    ...self,
    name: 'indexes-sift',
    about: '10,000 queries against indexes of one quality; building is reported beside',
    dataset: 'photo-sift',
    mode: 'queries',
    counts: 'search',
    rows: sizes,
    targets: [0.9, 0.95, 0.99],
    curveTo: 0.99,
    batches: [undefined, 1],
    engines: indexes,
  },
  {
    ...self,
    name: 'batches-sift',
    about: 'few queries at a time, exactly, against items that stand',
    dataset: 'photo-sift',
    mode: 'queries',
    counts: 'search',
    rows: sizes,
    targets: [0.999],
    numQueries: 200,
    batches: [1, 10, 100],
    engines: { 'nigh-prebuilt': grids.exactPrebuilt, 'faiss-flat': grids.flat },
  },
  {
    ...self,
    name: 'memory',
    about: 'nigh within a budget of memory',
    dataset: 'photo-sift',
    compare: 'settings',
    rows: [1_000_000],
    targets: [0.95],
    threads: ['all'],
    engines: { nigh: eachSetting('memory', ['256MB', '512MB', '1GB', '2GB', '4GB']) },
  },
  {
    ...self,
    name: 'levels',
    about: "nigh's kernels, widest to portable",
    dataset: 'photo-sift',
    compare: 'settings',
    rows: sizes,
    targets: [0.95],
    engines: { nigh: eachSetting('cpu', ['avx512', 'avx2', 'scalar']) },
  },
  ...(['photo-sift', 'mixture-tailed', 'mixture-clustered'] as const).map(
    (dataset): Scenario => ({
      ...self,
      name: `scale-${dataset}`,
      about: 'nigh alone: how its time grows with the rows',
      dataset,
      rows: dataset === 'photo-sift' ? sizes : sevenSizes,
      targets: [0.95],
      threads: ['all'],
      engines: { nigh: grids.nigh },
    }),
  ),
]
