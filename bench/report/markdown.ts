import type { BenchRecord, CaseRecord } from '../record.ts'
import { count, gigabytes, percentage, short, size, times } from './numbers.ts'
import { growth, type Line, type Result } from './results.ts'

const row = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

export function table(head: string[], rows: string[][]): string {
  return [row(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(row)].join('\n')
}

export const caption = ({ rows, dim, threads, batch }: CaseRecord): string =>
  `${size(rows)} x ${dim}, ${threads === 1 ? 'one thread' : `${threads} threads`}${batch ? `, ${count(batch)} a call` : ''}`

/** Where and how the figures were taken. */
export function provenance({ machine, options, started }: BenchRecord): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`
  const clock = options.clock === 'cpu' ? 'CPU seconds' : 'wall seconds'
  const how = `${clock}, ${options.repeat === 1 ? 'one run each' : `medians of ${options.repeat} runs`}`
  const features = machine.features.join(', ')
  const where = `${machine.cpu}, ${machine.cores} cores (${features}), ${memory}, ${machine.platform}, Node ${machine.node}`
  return `${where}; load average ${machine.load} at the start; ${how}; ${started.slice(0, 10)}, commit ${machine.commit}.`
}

const spread = ({ total }: Line) =>
  total && total.runs > 1
    ? `${short(total.median)} (${short(total.least)} to ${short(total.most)})`
    : short(total!.median)

const recall = (line: Line) => `${percentage(line.recall!)} ± ${percentage(line.standardError!)}`

/** All lines of a case at a target. */
export function detail({ record, given, lines }: Result): string {
  const whole = record.counts === 'join'
  const hasCodes = lines.some(({ codeBytes }) => codeBytes !== undefined)
  const head = whole
    ? ['engine', 'setting', 'recall', 'build s', 'search s', 'total s', 'peak GB', 'to nigh']
    : ['engine', 'setting', 'recall', 'queries/s', 'search s', 'build s', 'peak GB', 'to nigh']
  const cells = (line: Line) => {
    const { build, search, peakBytes, ratio } = line
    if (line.missing) return [line.engine, line.missing, '', '', '', '', '', '']
    const middle = whole
      ? [short(build!), short(search!), spread(line)]
      : [count(Math.round(given.numQueries / search!)), spread(line), short(build!)]
    return [line.engine, line.setting, recall(line), ...middle, gigabytes(peakBytes!), ratio ? times(ratio) : '']
  }
  const withCodes = (line: Line) => [...cells(line), line.codeBytes === undefined ? '' : short(line.codeBytes)]
  if (hasCodes) return table([...head, 'code bytes'], lines.map(withCodes))
  return table(head, lines.map(cells))
}

/** Engines by sizes, one figure each: fit for a README. */
export function summary(group: Result[]): string {
  const { counts } = group[0]!.record
  const engines = [...new Set(group.flatMap(({ lines }) => lines.map(({ engine }) => engine)))]
  const cell = (engine: string) => (result: Result) => {
    const line = result.lines.find((one) => one.engine === engine)
    if (!line) return ''
    if (!line.total) return line.missing!.startsWith('not reached') ? 'not reached' : line.missing!.slice(0, 40)
    const { median } = line.total
    const figure = counts === 'join' ? `${short(median)} s` : `${count(Math.round(result.given.numQueries / median))}/s`
    return line.ratio && line.ratio !== 1 ? `${figure} (${times(line.ratio)})` : figure
  }
  const head = group.map(
    ({ given }) => `${size(given.rows)} x ${given.dim}${given.batch ? `, ${given.batch} a call` : ''}`,
  )
  return table(
    ['', ...head],
    engines.map((engine) => [engine, ...group.map(cell(engine))]),
  )
}

/** Results that belong in one table: a scenario at a target on so many threads, by size. */
export function grouped(all: Result[]): Result[][] {
  const groups = new Map<string, Result[]>()
  for (const result of all) {
    const { record, given, target } = result
    const key = [record.scenario, given.threads, target, record.machine.cpu].join()
    groups.set(key, [...(groups.get(key) ?? []), result])
  }
  const order = (a: Result, b: Result) => a.given.rows - b.given.rows || (a.given.batch ?? 0) - (b.given.batch ?? 0)
  return [...groups.values()].map((group) => group.sort(order))
}

export function title(group: Result[]): string {
  const [{ record, given, target }] = group as [Result]
  const threads = given.threads === 1 ? 'one thread' : `${given.threads} threads`
  return `${record.scenario}: ${record.about}; k ${record.k}, recall ${percentage(target)} or more, ${threads}`
}

export function grown(group: Result[]): string {
  const powers = growth(group).map(({ engine, exponent, sizes }) => `${engine} ${exponent.toFixed(2)} (${sizes} sizes)`)
  return powers.length > 0 ? `Time grows with rows to the power of: ${powers.join(', ')}.` : ''
}

export function markdown(all: Result[]): string {
  const parts = [
    '# Results',
    "How they were taken, and what they favor: [METHODOLOGY.md](../METHODOLOGY.md). `to nigh` is time over nigh's; `code bytes`, what an index keeps of a row to compare, beside its vector.",
  ]
  for (const group of grouped(all)) {
    parts.push(`## ${title(group)}`, provenance(group.at(-1)!.record))
    const settings = group[0]!.record.compare === 'settings'
    if (!settings) parts.push(summary(group), grown(group))
    for (const result of group) parts.push(`### ${caption(result.given)}`, detail(result))
  }
  return `${parts.filter(Boolean).join('\n\n')}\n`
}
