// The package has no types of its own.
declare module 'ml-logistic-regression' {
  import type { AbstractMatrix } from 'ml-matrix'

  export default class LogisticRegression {
    constructor(options?: { numSteps?: number; learningRate?: number })
    train(features: AbstractMatrix, labels: AbstractMatrix): void
    /** The class of each row. */
    predict(features: AbstractMatrix): number[]
  }
}
