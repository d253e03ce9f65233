// Stages by name: from JSON, and from saved models.
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import { isIndexDirectory } from '../indexes/index-directory.ts'
import { BruteForce, BruteForceModel } from './brute-force.ts'
import { BucketedRandomProjectionLSH } from './bucketed-random-projection-lsh.ts'
import { Cluster, Flat, Forest, Hnsw, Lsh, openIndex } from './index-estimators.ts'
import { KeptIndex } from './kept-index.ts'
import { KnnModel } from './knn-model.ts'
import type { NearestNeighborsOptions } from './knn-params.ts'
import { BucketedRandomProjectionLSHModel } from './lsh-model.ts'
import { readDirectory } from './model-directory.ts'
import { NearestNeighbors, NearestNeighborsModel } from './nearest-neighbors.ts'
import { Normalizer } from './normalizer.ts'
import { Transformer } from './transformer.ts'
import { VectorConverter } from './vector-converter.ts'

type IndexEstimators = Flat | Cluster | Hnsw | Forest | Lsh

/** What learns from a table. */
export type Estimator = NearestNeighbors | BruteForce | BucketedRandomProjectionLSH | IndexEstimators

/** What has nothing more to learn. */
export type FittedStage = Transformer | KnnModel | KeptIndex

/** A stage of a pipeline, before it is fitted. */
export type PipelineStage = Estimator | FittedStage

const ESTIMATORS: Record<string, new (options: object) => Estimator | Transformer> = {
  NearestNeighbors,
  BruteForce,
  BucketedRandomProjectionLSH,
  Flat,
  Cluster,
  Hnsw,
  Forest,
  Lsh,
  Normalizer,
  VectorConverter,
}

/** A stage from plain data: `{ "kind": "NearestNeighbors", "k": 10, ... }`. Throws `INVALID_OPTION`. */
export function stageFrom(description: unknown): Estimator | Transformer {
  if (typeof description !== 'object' || description === null || !('kind' in description)) {
    throw invalidOption('stages', 'each is an object with a kind')
  }
  const { kind, ...options } = description
  const names = Object.keys(ESTIMATORS)
  const Stage = typeof kind === 'string' && Object.hasOwn(ESTIMATORS, kind) ? ESTIMATORS[kind] : undefined
  if (!Stage) throw invalidOption('kind', `must be one of ${names.join(', ')}, not ${JSON.stringify(kind)}`)
  return new Stage(options)
}

/** What the machine that loads a model has: whatever it was fitted on. */
export interface LoadOptions extends EngineCall, Pick<NearestNeighborsOptions, 'numThreads' | 'memory' | 'tmp'> {}

/** A saved stage: a model or a transformer. */
export async function loadStage(path: string, call: LoadOptions = {}): Promise<FittedStage> {
  if (isIndexDirectory(path)) {
    const { numThreads, signal, onProgress } = call
    return openIndex(path, { signal, onProgress, ...(numThreads === undefined ? {} : { numThreads }) })
  }
  const { manifest } = await readDirectory(path)
  if (manifest.kind === 'NearestNeighborsModel') return NearestNeighborsModel.load(path, call)
  if (manifest.kind === 'BruteForceModel') return BruteForceModel.load(path, call)
  if (manifest.kind === 'BucketedRandomProjectionLSHModel') return BucketedRandomProjectionLSHModel.load(path, call)
  const stage = Object.hasOwn(ESTIMATORS, manifest.kind)
    ? stageFrom({ ...manifest.params, kind: manifest.kind })
    : undefined
  if (stage instanceof Transformer) return stage
  throw new NighError('MODEL_VERSION', `${path}: a stage of kind ${manifest.kind}, which this nigh does not know`)
}

export function isFitted(stage: PipelineStage): stage is FittedStage {
  return stage instanceof Transformer || stage instanceof KnnModel || stage instanceof KeptIndex
}
