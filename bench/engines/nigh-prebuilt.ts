// nigh's library, its items read and in their lists before the clock of the queries starts. Vectors are in memory, as the rivals' are.
// build: recall or exact; search: nothing.
import { type JoinResult, NearestNeighbors } from 'nigh'
import { clocked, ofTable, serve } from './nigh-serve.js'

let model: Awaited<ReturnType<NearestNeighbors['fit']>>

await serve<{ recall?: number; exact?: boolean }, JoinResult>({
  async build(items, { k, metric, threads, params }) {
    const estimator = new NearestNeighbors({ k, metric, threads, layout: 'long', ...params })
    const { result, cost } = await clocked(() => estimator.fit(items))
    model = result
    return cost
  },
  ask: (queries) => model.join(queries),
  found: (answer, each) => ofTable(answer.table(), each),
  facts(answers) {
    const stages: Record<string, number> = {}
    for (const { report } of answers) {
      for (const [stage, seconds] of Object.entries(report.seconds)) stages[stage] = (stages[stage] ?? 0) + seconds
    }
    const { method, precision, level, effort } = answers[0]!.report.plan
    return { stages, plan: { method, precision, level, effort } }
  },
})
