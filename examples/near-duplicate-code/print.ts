import { bare, type Findings, nearCopy, type Pair } from './findings.js'

const color = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (code: number) => (text: string) => (color ? `\x1b[${code}m${text}\x1b[0m` : text)
export const bold = paint(1)
export const dim = paint(2)
const red = paint(31)
const green = paint(32)

const width = Math.min(process.stdout.columns || 100, 120)

export const count = (n: number): string => n.toLocaleString('en-US')
const percent = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`.padStart(7)
const plural = (n: number, noun: string) => `${count(n)} ${noun}${n === 1 ? '' : 's'}`

export function heading(text: string): void {
  console.log(`\n${bold(text)}\n`)
}

function trim(line: string): string {
  const text = line.replace(/\t/g, '  ')
  return text.length > width - 8 ? `${text.slice(0, width - 9)}…` : text
}

/** Lines with their common indentation removed. */
function dedent(lines: string[]): string[] {
  const tabs = lines.map((line) => line.replace(/\t/g, '  '))
  const indent = Math.min(...tabs.map((line) => line.length - line.trimStart().length))
  return tabs.map((line) => line.slice(indent))
}

function printPair({ a, b, distance }: Pair): void {
  console.log(`  ${red('-')} ${bold(a.package)}  ${dim(`${a.path}:${a.line}`)}`)
  console.log(`  ${green('+')} ${bold(b.package)}  ${dim(`${b.path}:${b.line}`)}  distance ${distance.toFixed(3)}`)
  const [left, right] = [dedent(a.lines), dedent(b.lines)]
  left.forEach((line, i) => {
    if (bare(line) === bare(right[i]!)) {
      console.log(dim(`        ${trim(line)}`))
    } else {
      console.log(red(`      - ${trim(line)}`))
      console.log(green(`      + ${trim(right[i]!)}`))
    }
  })
  console.log()
}

export function printFindings(found: Findings, rows: number): void {
  heading('How near is the nearest snippet elsewhere?')
  const none = rows - found.histogram.reduce((sum, bin) => sum + bin.rows, 0)
  const most = Math.max(none, ...found.histogram.map((bin) => bin.rows), 1)
  const line = (range: string, label: string, n: number) => {
    const bar = '█'.repeat(Math.ceil((n / most) * 30)).padEnd(30)
    console.log(`  ${range.padEnd(11)}${label.padEnd(23)}${bar} ${count(n).padStart(8)} ${percent(n, rows)}`)
  }
  let from = 0
  for (const bin of found.histogram) {
    const exact = bin.below < 1e-3
    line(exact ? '0' : `${from.toFixed(2)}-${bin.below.toFixed(2)}`, bin.label, bin.rows)
    from = exact ? 0 : bin.below
  }
  line('farther', 'nothing like it', none)

  heading(`${count(found.copied)} snippets have a near copy (distance below ${nearCopy}) in another package`)
  for (const { packages, rows: n } of found.shared) {
    console.log(`  ${packages.join(' and ').padEnd(48)} share ${plural(n, 'snippet')}`)
  }

  heading('Copies that somebody edited')
  if (found.examples.length === 0) console.log('  none in these rows\n')
  for (const pair of found.examples) printPair(pair)
}

/** The parts of the join's report that this example shows. */
export interface JoinReport {
  rows: { queries: number; items: number }
  recall: { target: number; estimate: number; low: number; high: number; sampleSize: number }
  seconds: { read: number; cluster: number; tune: number; join: number; write: number; total: number }
  peakMemoryBytes: number
  machine: { cpu: string; level: string; threads: number }
}

export function printCost({ rows, recall, seconds, peakMemoryBytes, machine }: JoinReport, prepared: number): void {
  heading('What it took')
  const pairs = rows.queries * rows.items
  const line = (name: string, text: string) => console.log(`  ${name.padEnd(9)} ${text}`)
  const parts = (['read', 'cluster', 'tune', 'join', 'write'] as const).map((p) => `${p} ${seconds[p].toFixed(1)}`)
  line('Rows', `${count(rows.items)}; an exact search would compare ${(pairs / 1e9).toFixed(1)} billion pairs`)
  line('Time', `${seconds.total.toFixed(1)} s (${parts.join(', ')}); making the vectors took ${prepared.toFixed(1)} s`)
  line('Memory', `${count(Math.round(peakMemoryBytes / 1e6))} MB at most`)
  const exact = recall.low === 1 && recall.high === 1
  const fraction = (x: number) => `${(100 * x).toFixed(1)} %`
  line(
    'Recall',
    exact
      ? 'every one of the exact neighbors (the join was exact)'
      : `${fraction(recall.estimate)} of the exact neighbors found, ${fraction(recall.target)} asked for\n` +
          `            95 % interval ${fraction(recall.low)} to ${fraction(recall.high)}, ` +
          `from ${count(recall.sampleSize)} rows whose exact neighbors were computed too`,
  )
  line('Machine', `${machine.cpu}, ${plural(machine.threads, 'thread')}, ${machine.level}`)
}
