// The kinds of index as the contract sees them.
import { Cluster, Flat, Forest, Hnsw, type IndexOptions, type KeptIndex, Lsh } from '../../src/index.ts'
import type { TableInput } from '../../src/table/source.ts'

export interface ContractKind {
  kind: string
  make: (options: IndexOptions) => { fit(items: TableInput): Promise<KeptIndex> }
  /** Metrics, each with the recall@10 that has to be reached where .95 is asked for. */
  metrics: readonly (readonly [NonNullable<IndexOptions['metric']>, number])[]
}

export const kinds: readonly ContractKind[] = [
  {
    kind: 'flat',
    make: (options) => new Flat(options),
    metrics: [
      ['l2', 1],
      ['cosine', 1],
      ['dot', 1],
      ['correlation', 1],
      ['l1', 1],
      ['canberra', 1],
      ['bray-curtis', 1],
    ],
  },
  ...(['int8', 'int4', 'bit1'] as const).map(
    (codes): ContractKind => ({
      kind: codes === 'int8' ? 'cluster' : `cluster-${codes}`,
      make: (options) => new Cluster({ codes, ...options }),
      metrics: [
        ['l2', 0.9],
        ['squared-l2', 0.9],
        ['cosine', 0.9],
        ['correlation', 0.9],
        ['dot', 0.9],
      ],
    }),
  ),
  {
    kind: 'hnsw',
    make: (options) => new Hnsw(options),
    metrics: [
      ['l2', 0.9],
      ['squared-l2', 0.9],
      ['cosine', 0.9],
      ['correlation', 0.9],
      ['dot', 0.9],
      ['l1', 0.9],
      ['canberra', 0.9],
      ['bray-curtis', 0.9],
    ],
  },
  {
    kind: 'forest',
    make: (options) => new Forest(options),
    metrics: [
      ['l2', 0.9],
      ['cosine', 0.9],
      ['dot', 0.9],
      ['l1', 0.9],
    ],
  },
  {
    kind: 'lsh',
    make: (options) => new Lsh({ bucketLength: 3, numHashTables: 4, ...options }),
    metrics: [
      ['l2', 0.9],
      ['cosine', 0.9],
    ],
  },
]
