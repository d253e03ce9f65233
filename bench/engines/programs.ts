/** An engine's program, started with the bench's Python, or with Node where it ends in .js. */
export interface Program {
  file: string
  /** Whether its answer comes only as a whole: it is not probed with a few rows first. */
  whole?: boolean
  /** Whether one process makes all builds: it takes long to start, and its peak memory is that of the largest build so far. */
  stays?: boolean
}

export const programs: Record<string, Program> = {
  nigh: { file: 'nigh.py', whole: true },
  'nigh-prebuilt': { file: 'nigh-prebuilt.js', whole: true },
  'nigh-hnsw': { file: 'nigh-index.js' },
  'nigh-forest': { file: 'nigh-index.js' },
  'nigh-cluster': { file: 'nigh-index.js' },
  'nigh-cluster-int4': { file: 'nigh-index.js' },
  'nigh-cluster-bit1': { file: 'nigh-index.js' },
  'faiss-flat': { file: 'faiss_flat.py', whole: true },
  'faiss-ivf': { file: 'faiss_ivf.py' },
  'faiss-ivfpq': { file: 'faiss_ivf.py' },
  hnswlib: { file: 'hnsw.py' },
  usearch: { file: 'usearch_graph.py' },
  'faiss-hnsw': { file: 'faiss_hnsw.py' },
  pynndescent: { file: 'pynndescent_graph.py', stays: true },
  scann: { file: 'scann_tree.py' },
  svs: { file: 'svs_vamana.py' },
  annoy: { file: 'annoy_forest.py' },
}
