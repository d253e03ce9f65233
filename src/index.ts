export type { ProgressEvent } from './engine/engine.ts'
export type { Relation, SortKey } from './engine/spark/connect/relations.ts'
export {
  type ExecuteOptions,
  type SaveOptions as SparkSaveOptions,
  type SparkOptions,
  type SparkProgress,
  SparkSession,
} from './engine/spark/connect/session.ts'
export { type Pack, type PackOptions, packWorker } from './engine/spark/pack.ts'
export { type ConnectOptions, Spark, type SparkReadOptions } from './engine/spark/spark.ts'
export { SparkDataset, type SparkDatasetOptions, type SparkMapOptions } from './engine/spark/spark-dataset.ts'
export { type ErrorCode, NighError } from './errors.ts'
export type { Around, Effort, JoinShape } from './join/cost.ts'
export type { MetricAlias } from './join/metric.ts'
export type { JoinOptions, JoinParams, SideParams } from './join/options.ts'
export type { Plan, Stage, StageName } from './join/plan.ts'
export type { JoinReport } from './join/report.ts'
export type { SavedPlan } from './join/saved-plan.ts'
export type { RecallEstimate } from './join/statistics.ts'
export type { TuneStep } from './join/tuner.ts'
export { BruteForce, BruteForceModel } from './model/brute-force.ts'
export { BucketedRandomProjectionLSH } from './model/bucketed-random-projection-lsh.ts'
export { type EvaluateOptions, type Evaluation, evaluate } from './model/evaluate.ts'
export {
  Cluster,
  Flat,
  Forest,
  Hnsw,
  type ImportOptions,
  importIndex,
  Lsh,
  type OpenIndexOptions,
  openIndex,
} from './model/index-estimators.ts'
export type { NearestItems, NearestOptions } from './model/index-nearest.ts'
export type {
  ClusterOptions,
  Effort as IndexEffort,
  ForestOptions,
  HnswOptions,
  IndexOptions,
  IndexParams,
  LshIndexOptions,
} from './model/index-params.ts'
export type { IndexAnswer, IndexSearchOptions } from './model/index-search.ts'
export { type Finding, type Inspection, type InspectOptions, inspectTable } from './model/inspect.ts'
export type { JoinResult } from './model/join-result.ts'
export type { OutputOptions } from './model/join-tables.ts'
export { KeptIndex } from './model/kept-index.ts'
export { KnnEvaluator, type KnnEvaluatorOptions } from './model/knn-evaluator.ts'
export { explainJoin, type KnnJoinOptions, knnJoin, type SparkEngineOptions, selfJoin } from './model/knn-join.ts'
export type { KnnModel } from './model/knn-model.ts'
export type { BruteForceOptions, KnnParams, NearestNeighborsOptions, OutputFormat } from './model/knn-params.ts'
export type { SimilarityJoinOptions } from './model/lsh-join.ts'
export { BucketedRandomProjectionLSHModel } from './model/lsh-model.ts'
export type { BucketedRandomProjectionLSHOptions, HashFamily, LshMetric } from './model/lsh-params.ts'
export type { ApproxNearestNeighborsOptions } from './model/lsh-search.ts'
export type { SaveOptions } from './model/model-directory.ts'
export { NearestNeighbors, NearestNeighborsModel } from './model/nearest-neighbors.ts'
export { Normalizer, type NormalizerOptions } from './model/normalizer.ts'
export { loadModel, Pipeline, type PipelineAnswer, PipelineModel, type PipelineOptions } from './model/pipeline.ts'
export { type Check, type DoctorOptions, sparkDoctor } from './model/spark/doctor.ts'
export {
  explainSparkJoin,
  type SparkInput,
  type SparkJoinOptions,
  type SparkJoinReport,
  type SparkPlanOptions,
  sparkJoin,
  sparkSelfJoin,
} from './model/spark/join.ts'
export type { SparkPlan, SparkStrategy } from './model/spark/join-plan.ts'
export type { SparkFitOptions } from './model/spark/models/fit.ts'
export type { AnnoyFile, AnnoyFileOptions } from './model/spark/models/forest.ts'
export type { SparkSimilarityJoinOptions } from './model/spark/models/lsh-join.ts'
export type { SparkTable } from './model/spark/models/source.ts'
export { SparkKnnModel } from './model/spark/models/spark-knn-model.ts'
export type { SparkTransformOptions } from './model/spark/models/transform.ts'
export type { SparkJoinProgress, SparkPhase } from './model/spark/run-context.ts'
export type { Estimator, FittedStage, PipelineStage } from './model/stages.ts'
export type { VectorForm } from './model/vector-column.ts'
export { VectorConverter, type VectorConverterOptions } from './model/vector-converter.ts'
export type { CpuLevel, DistanceFunction, Metric, Precision } from './native.ts'
export {
  ArrowDataset,
  type DatasetEngine,
  type DatasetOptions,
  type GroupedDataset,
  type MapOptions,
  type PartitionOptions,
  type RunOptions,
  type WorkerMapOptions,
} from './table/dataset.ts'
export { fromIterable, fromRows, fromTables, type ReadTableOptions, readTable } from './table/datasets.ts'
export type { TablePartition, TablePartitions } from './table/partitions.ts'
export { type Row, tableFromRows, tableToRows } from './table/rows/convert.ts'
export type { ArrowInput, Ids, TableInput, TablesInput, VectorsInput } from './table/source.ts'
export type {
  ColumnFunction,
  FilterFunction,
  RowMask,
  TableFunction,
  TablesFunction,
} from './table/steps/functions.ts'
export type { GroupFunction } from './table/steps/group.ts'
export type { TableIterable } from './table/steps/memory.ts'
export type { PartitionFunction } from './table/steps/shuffle.ts'
export { type Vectors, type VectorsOptions, vectors } from './table/vectors.ts'
export { type WorkerFunction, workerFunction } from './table/workers/worker-function.ts'
export type { TableFormat, WriteOptions, Written } from './table/write.ts'
