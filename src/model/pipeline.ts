import { join } from 'node:path'
import type { Table } from 'apache-arrow'
import type { EngineCall } from '../engine/engine.ts'
import { invalidOption, NighError } from '../errors.ts'
import { isIndexDirectory } from '../indexes/index-directory.ts'
import type { TableInput } from '../table/source.ts'
import type { IndexAnswer } from './index-search.ts'
import type { JoinResult } from './join-result.ts'
import { KeptIndex } from './kept-index.ts'
import { KnnModel, type TransformToOptions } from './knn-model.ts'
import { readDirectory, type SaveOptions, saveDirectory } from './model-directory.ts'
import { type FittedStage, isFitted, type LoadOptions, loadStage, type PipelineStage, stageFrom } from './stages.ts'
import { Transformer } from './transformer.ts'

/** The params of `Pipeline`. */
export interface PipelineOptions {
  /** Estimators, transformers and models, in the order in which a table goes through them. */
  stages: readonly PipelineStage[]
}

/** What a pipeline wrote: the result of a join with its report, or the answer of an index, which has none. */
export type PipelineAnswer = JoinResult | (IndexAnswer & { report?: undefined })

/** Stages one after the other, fitted as one. */
export class Pipeline {
  readonly kind = 'Pipeline'
  readonly stages: readonly PipelineStage[]

  constructor({ stages }: PipelineOptions) {
    if (!Array.isArray(stages) || stages.length === 0)
      throw invalidOption('stages', 'a pipeline needs a stage at least')
    this.stages = [...stages]
  }

  /** From plain data: `{ "stages": [{ "kind": "Normalizer", ... }, ...] }`, or a single stage. Throws `INVALID_OPTION`. */
  static from(description: unknown): Pipeline {
    const many = typeof description === 'object' && description !== null && 'stages' in description
    const stages = many ? (description as { stages: unknown }).stages : [description]
    if (!Array.isArray(stages)) throw invalidOption('stages', 'must be a list of stages')
    return new Pipeline({ stages: stages.map(stageFrom) })
  }

  /** Each stage's params. */
  explainParams(): string {
    const text = (stage: PipelineStage) => `${stage.kind}\n${stage.explainParams().replaceAll(/^/gm, '  ')}`
    return this.stages.map(text).join('\n')
  }

  /** Fits each estimator on the table as the stages before it leave it. */
  async fit(items: TableInput, call: EngineCall = {}): Promise<PipelineModel> {
    const fitted: FittedStage[] = []
    const lastEstimator = this.stages.findLastIndex((stage) => !isFitted(stage))
    let table = items
    try {
      for (const [at, stage] of this.stages.entries()) {
        const model = isFitted(stage) ? stage : await stage.fit(table, call)
        fitted.push(model)
        if (at < lastEstimator) table = await passed(model, table, call)
      }
    } catch (error) {
      await disposeNew(fitted, this.stages)
      throw error
    }
    return new PipelineModel(fitted)
  }
}

/** Transformers pass tables on one by one; a model answers with a whole one. */
async function passed(stage: FittedStage, table: TableInput, call: EngineCall): Promise<TableInput> {
  return stage instanceof Transformer
    ? { tables: () => stage.tables(table, call.signal) }
    : stage.transform(table, call)
}

async function disposeNew(fitted: readonly FittedStage[], given: readonly PipelineStage[]): Promise<void> {
  for (const stage of fitted)
    if (Symbol.asyncDispose in stage && !given.includes(stage)) await stage[Symbol.asyncDispose]()
}

/** What `Pipeline` fitted. Holds the native memory of its models: dispose of it. */
export class PipelineModel implements AsyncDisposable {
  readonly kind = 'PipelineModel'
  readonly stages: readonly FittedStage[]

  constructor(stages: readonly FittedStage[]) {
    this.stages = stages
  }

  /** The table after all stages. */
  async transform(input: TableInput, call: EngineCall = {}): Promise<Table> {
    const table = await this.#before(input, call)
    return this.stages.at(-1)!.transform(table, call)
  }

  /** The same, written to a file, where a model of neighbors or an index is the last stage. An index gives no report of a join. */
  async transformTo(path: string, input: TableInput, call: TransformToOptions = {}): Promise<PipelineAnswer> {
    const last = this.stages.at(-1)
    if (!(last instanceof KnnModel || last instanceof KeptIndex)) {
      const text = 'only a pipeline that ends with a model of neighbors or an index writes its answer to a file'
      throw invalidOption('stages', text)
    }
    return last.transformTo(path, await this.#before(input, call), call)
  }

  /** Saves the stages, each in a directory of its own. */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveDirectory(path, options, async (directory) => {
      const stages: string[] = []
      for (const [at, stage] of this.stages.entries()) {
        const name = `${String(at).padStart(2, '0')}-${stage.kind}`
        const to = join(directory, name)
        const { signal } = options
        // What an index saves it goes on writing to; this directory gets another name.
        await (stage instanceof KeptIndex ? stage.saveCopy(to, { signal }) : stage.save(to, { signal }))
        stages.push(name)
      }
      return { kind: this.kind, params: {}, facts: { stages } }
    })
  }

  /** Loads a saved pipeline. Errors: NOT_A_MODEL, CORRUPT_MODEL, MODEL_VERSION. */
  static async load(path: string, call: LoadOptions = {}): Promise<PipelineModel> {
    const { manifest, root } = await readDirectory(path)
    if (manifest.kind !== 'PipelineModel') {
      throw new NighError('NOT_A_MODEL', `${path}: is a ${manifest.kind}, not a PipelineModel`)
    }
    const stages: FittedStage[] = []
    try {
      for (const name of manifest.facts.stages as string[]) {
        stages.push(await loadStage(join(root, manifest.data, name), call))
      }
    } catch (error) {
      await disposeNew(stages, [])
      throw error
    }
    return new PipelineModel(stages)
  }

  /** Frees the native memory of its models. */
  async [Symbol.asyncDispose](): Promise<void> {
    await disposeNew(this.stages, [])
  }

  async #before(input: TableInput, call: EngineCall): Promise<TableInput> {
    let table = input
    for (const stage of this.stages.slice(0, -1)) table = await passed(stage, table, call)
    return table
  }
}

/** A saved model of any kind: a pipeline, a model or a transformer. */
export async function loadModel(path: string, call: LoadOptions = {}): Promise<PipelineModel | FittedStage> {
  if (isIndexDirectory(path)) return loadStage(path, call)
  const { manifest } = await readDirectory(path)
  return manifest.kind === 'PipelineModel' ? PipelineModel.load(path, call) : loadStage(path, call)
}
