import type { DescMessage } from '@bufbuild/protobuf'
import type { Method } from './channel.ts'
import * as gen from './gen/spark_pb.ts'

const method = <I extends DescMessage, O extends DescMessage>(name: string, input: I, output: O): Method<I, O> => ({
  name,
  input,
  output,
})

/** The calls of SparkConnectService that nigh makes. */
export const methods: {
  execute: Method<typeof gen.ExecutePlanRequestSchema, typeof gen.ExecutePlanResponseSchema>
  reattach: Method<typeof gen.ReattachExecuteRequestSchema, typeof gen.ExecutePlanResponseSchema>
  release: Method<typeof gen.ReleaseExecuteRequestSchema, typeof gen.ReleaseExecuteResponseSchema>
  analyze: Method<typeof gen.AnalyzePlanRequestSchema, typeof gen.AnalyzePlanResponseSchema>
  config: Method<typeof gen.ConfigRequestSchema, typeof gen.ConfigResponseSchema>
  addArtifacts: Method<typeof gen.AddArtifactsRequestSchema, typeof gen.AddArtifactsResponseSchema>
  interrupt: Method<typeof gen.InterruptRequestSchema, typeof gen.InterruptResponseSchema>
  releaseSession: Method<typeof gen.ReleaseSessionRequestSchema, typeof gen.ReleaseSessionResponseSchema>
  errorDetails: Method<typeof gen.FetchErrorDetailsRequestSchema, typeof gen.FetchErrorDetailsResponseSchema>
} = {
  execute: method('ExecutePlan', gen.ExecutePlanRequestSchema, gen.ExecutePlanResponseSchema),
  reattach: method('ReattachExecute', gen.ReattachExecuteRequestSchema, gen.ExecutePlanResponseSchema),
  release: method('ReleaseExecute', gen.ReleaseExecuteRequestSchema, gen.ReleaseExecuteResponseSchema),
  analyze: method('AnalyzePlan', gen.AnalyzePlanRequestSchema, gen.AnalyzePlanResponseSchema),
  config: method('Config', gen.ConfigRequestSchema, gen.ConfigResponseSchema),
  addArtifacts: method('AddArtifacts', gen.AddArtifactsRequestSchema, gen.AddArtifactsResponseSchema),
  interrupt: method('Interrupt', gen.InterruptRequestSchema, gen.InterruptResponseSchema),
  releaseSession: method('ReleaseSession', gen.ReleaseSessionRequestSchema, gen.ReleaseSessionResponseSchema),
  errorDetails: method('FetchErrorDetails', gen.FetchErrorDetailsRequestSchema, gen.FetchErrorDetailsResponseSchema),
}
