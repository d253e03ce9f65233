import type { Machine } from '../run/machine.ts'
import type { Options } from './arguments.ts'

export interface Run {
  part: 'join' | 'pairs'
  name: string
  setting?: string
  /** From the call to the committed Parquet output. Not there of a run that failed. */
  seconds?: number
  /** Of it, the index. */
  build?: number
  recall?: number
  standardError?: number
  pairs?: number
  /** Settings that were tried, of which the one with the least estimate was run. */
  tried?: object[]
  failed?: string
}

interface Measured {
  machine: Machine
  options: Options
  runs: Run[]
}

/** How many times as long as nigh's last call with the same pairs or recall. */
const OURS = 'nigh, next call'

function rows(runs: Run[], figure: (run: Run) => string): string[] {
  const ours = runs.findLast(({ name }) => name === OURS)?.seconds
  return runs.map((run) => {
    const { name, setting = '', seconds, failed } = run
    if (seconds === undefined) return `| ${name} | ${setting} | failed: ${failed} | | |`
    const ratio = ours === undefined ? '' : (seconds / ours).toFixed(2)
    return `| ${name} | ${setting} | ${seconds.toFixed(2)} | ${figure(run)} | ${ratio} |`
  })
}

const head = (figure: string) => [
  `| | setting | seconds | ${figure} | of nigh's next call |`,
  '|---|---|---:|---:|---:|',
]

export function markdown({ machine, options, runs }: Measured): string {
  const of = (part: Run['part']) => runs.filter((run) => run.part === part)
  const recall = ({ recall: found = 0, standardError = 0, build }: Run) => {
    const low = found < options.recall ? ', too low' : ''
    const index = build === undefined ? '' : `, index ${build.toFixed(1)} s`
    return `${found.toFixed(3)} ± ${standardError.toFixed(3)}${low}${index}`
  }
  const { dataset, rows: n, lshRows } = options
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.commit}, load ${machine.load} at the start; Spark local[2]`,
    '',
    `${dataset}, ${n.toLocaleString('en')} rows with themselves, k = 10, recall ${options.recall}`,
    '',
    ...head('recall'),
    ...rows(of('join'), recall),
    '',
    `${dataset}, ${lshRows.toLocaleString('en')} rows, pairs nearer than the median 10th neighbor`,
    '',
    ...head('pairs'),
    ...rows(of('pairs'), ({ pairs }) => (pairs ?? 0).toLocaleString('en')),
  ].join('\n')
}
