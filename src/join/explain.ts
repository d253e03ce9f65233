import type { MemoryPlan } from './memory.ts'
import type { Plan } from './plan.ts'

/** A plan in words: method and reason, then a line a stage. */
export function explainPlan(plan: Plan): string {
  const { shape } = plan
  const count = (n: number) => n.toLocaleString('en-US')
  const asked = plan.recall === 1 ? 'exact' : `recall ${plan.recall}`
  const who = shape.self
    ? `each of ${count(shape.items)} rows with its ${plan.k} nearest others`
    : `${count(shape.queries)} queries with their ${plan.k} nearest of ${count(shape.items)} items`
  const lines = [
    `Join ${who}, ${shape.dim} dimensions, ${plan.metric}, ${asked}`,
    `Method: ${plan.method} (${plan.reason})`,
    '',
    ...plan.stages.map(({ stage, params, seconds }) => {
      const text = Object.entries(params)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name} ${typeof value === 'number' ? count(value) : value}`)
      return `  ${stage.padEnd(8)} ${formatSeconds(seconds).padStart(9)}  ${text.join(', ')}`
    }),
  ]
  if (plan.method === 'cluster' && !plan.tuned) {
    lines.push('', 'nprobe and rescore are first guesses: they are chosen on a sample when the join runs.')
  }
  const on = `${plan.threads} thread${plan.threads === 1 ? '' : 's'} with ${plan.level} kernels`
  const { memory } = plan
  const bytes = memory?.peak ?? plan.bytes
  lines.push('', `Estimated: ${formatSeconds(plan.seconds)}, ${formatBytes(bytes)} of memory (${on})`)
  if (memory) lines.push(`Memory:    ${explainMemory(memory, shape.items)}`)
  return lines.join('\n')
}

function explainMemory({ budget, way, tmp, tmpBytes, itemRows }: MemoryPlan, items: number): string {
  const of = `of a budget of ${formatBytes(budget)}`
  const spilled = `${formatBytes(tmpBytes)} in ${tmp}`
  if (way === 'memory') return `all in memory, ${of}`
  if (way === 'spill') return `vectors in temporary files, ${spilled}, ${of}`
  const blocks = Math.ceil(items / itemRows)
  return `items in ${blocks} block${blocks === 1 ? '' : 's'} of ${itemRows.toLocaleString('en-US')}, ${spilled}, ${of}`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 0.0095) return `${Math.max(1, Math.round(seconds * 1000))} ms`
  if (seconds < 90) return `${seconds.toPrecision(seconds < 10 ? 2 : 3)} s`
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}

export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
