// Drawn on the server: Observable Plot needs a document, no browser.
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { frontier } from '../choose.ts'
import { percentage, short, size } from './numbers.ts'
import type { Result } from './results.ts'

interface Mark {
  engine: string
  x: number
  y: number
}

const WIDTH = 640
const HEIGHT = 360

const COLORS: Record<string, string> = {
  nigh: '#d6322d',
  'nigh-prebuilt': '#d6322d',
  hnswlib: '#2c66b8',
  'faiss-flat': '#555555',
  'faiss-ivf': '#2e8b57',
  'faiss-ivfpq': '#8fbf3f',
  pynndescent: '#8a56b0',
  scann: '#e08a1e',
  svs: '#17a2b8',
  annoy: '#a0714f',
}
const color = ({ engine }: Mark) => COLORS[engine] ?? '#999999'
const ours = ({ engine }: Mark) => engine.startsWith('nigh')

interface Axes {
  title: string
  x: Plot.ScaleOptions
  y: Plot.ScaleOptions
}

/** Fit for a browser, a README and simple viewers alike: a background of its own, plain colors, no style sheet. */
function standAlone(svg: string): string {
  const named = svg.includes('xmlns=') ? svg : svg.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
  return named
    .replace(/<style>[^<]*<\/style>/, `<rect width="${WIDTH}" height="${HEIGHT}" fill="white" />`)
    .replaceAll('currentColor', '#222')
}

/** Lines with an engine's name beside the last mark, names kept apart. */
function draw(marks: Mark[], { title, x, y }: Axes): string {
  const { document } = parseHTML('<html><body></body></html>')
  const lines = (filter: (mark: Mark) => boolean, strokeWidth: number) => {
    const some = marks.filter(filter)
    return [
      Plot.line(some, { x: 'x', y: 'y', z: 'engine', stroke: color, strokeWidth }),
      Plot.dot(some, { x: 'x', y: 'y', fill: color, r: strokeWidth + 0.8 }),
    ]
  }
  const names = [...new Set(marks.map(({ engine }) => engine))]
    .map((engine) => marks.filter((mark) => mark.engine === engine).at(-1)!)
    .sort((a, b) => b.y - a.y)
  const legend = names.flatMap((mark, i) => {
    const at = { frameAnchor: 'top-right', dy: 8 + 17 * i } as const
    const weight = ours(mark) ? 'bold' : 'normal'
    return [
      Plot.text(['●'], { ...at, dx: 16, fill: color(mark), fontSize: 13 }),
      Plot.text([mark.engine], { ...at, dx: 28, textAnchor: 'start', fontSize: 12, fontWeight: weight, fill: '#222' }),
    ]
  })
  const corner = { frameAnchor: 'top-left', dx: -54, textAnchor: 'start', fill: '#222' } as const
  const svg = Plot.plot({
    document: document as unknown as Document,
    width: WIDTH,
    height: HEIGHT,
    marginRight: 120,
    marginLeft: 62,
    marginTop: 58,
    marginBottom: 42,
    style: { fontSize: '12px' },
    x: { grid: true, ...x },
    y: { grid: true, ...y, label: null },
    marks: [
      Plot.text([title], { ...corner, dy: -48, fontSize: 14, fontWeight: 'bold' }),
      Plot.text([y.label ?? ''], { ...corner, dy: -26 }),
      ...lines((mark) => !ours(mark), 1.5),
      ...lines(ours, 3),
      ...legend,
    ],
  })
  return standAlone((svg as unknown as Element).outerHTML)
}

const logTicks = (values: number[], steps: number[]) => {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const decades = Array.from({ length: 14 }, (_, i) => 10 ** (i - 5))
  return decades
    .flatMap((ten) => steps.map((step) => step * ten))
    .filter((tick) => tick >= low * 0.99 && tick <= high * 1.01)
}

/** Rounded outward, so that no mark sits on the frame. */
const around = (values: number[]): [number, number] => [Math.min(...values) / 1.25, Math.max(...values) * 1.25]

function logAxis(values: number[], label: string, tickFormat: (x: number) => string): Plot.ScaleOptions {
  const domain = around(values)
  const steps = domain[1] / domain[0] > 300 ? [1] : domain[1] / domain[0] > 30 ? [1, 3] : [1, 2, 5]
  return { type: 'log', domain, ticks: logTicks(domain, steps), tickFormat, label }
}

/** Rows or queries a second against recall: for each engine the settings that none of its others beats. */
export function recallPlot({ record, given }: Result): string | undefined {
  const { clock } = record.options
  const whole = record.counts === 'join'
  const marks = given.engines.flatMap(({ engine, probes, attempts }) => {
    const runs = attempts.flatMap((attempt) =>
      attempt.runs.map(({ recall, build, search }) => ({ recall, build: build[clock], search: search[clock] })),
    )
    const tried = probes.map((probe) => ({
      recall: probe.recall,
      build: probe.buildSeconds,
      search: probe.searchSeconds,
    }))
    const points = [...runs, ...tried]
      .filter(({ recall }) => recall >= 0.7)
      .map(({ recall, build, search }) => ({ recall, rate: given.numQueries / ((whole ? build : 0) + search) }))
    return frontier(points).map(({ recall, rate }): Mark => ({ engine, x: Math.max(1 - recall, 0.0005), y: rate }))
  })
  const names = new Set(marks.map(({ engine }) => engine))
  // A curve of one setting each says no more than the table.
  if (names.size < 2 || marks.length === names.size) return undefined
  const domain = around(marks.map(({ x }) => x))
  const misses = [0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
  const what = whole ? 'rows a second, building included' : 'queries a second'
  return draw(marks, {
    title: `${record.scenario}, ${size(given.rows)} x ${given.dim}, threads ${given.threads}`,
    x: {
      type: 'log',
      reverse: true,
      domain,
      ticks: misses.filter((missed) => missed >= domain[0] && missed <= domain[1]),
      tickFormat: (missed: number) => percentage(1 - missed),
      label: 'recall →',
    },
    y: logAxis(
      marks.map(({ y }) => y),
      `↑ ${what}`,
      short,
    ),
  })
}

/** Time or peak memory against rows, at a target. */
export function sizePlot(group: Result[], what: 'time' | 'memory'): string | undefined {
  const [{ record, given, target }] = group as [Result]
  if (given.batch || record.compare === 'settings') return undefined
  const marks = group.flatMap(({ given: { rows }, lines }) =>
    lines.flatMap(({ engine, total, peakBytes }): Mark[] =>
      total ? [{ engine, x: rows, y: what === 'time' ? total.median : peakBytes! / 1e9 }] : [],
    ),
  )
  const sizes = [...new Set(marks.map(({ x }) => x))]
  if (sizes.length < 2) return undefined
  const counted = record.counts === 'join' ? 'seconds for all' : `seconds for ${given.numQueries} queries`
  return draw(marks, {
    title: `${record.scenario} at recall ${percentage(target)}: ${what}, threads ${given.threads}`,
    x: { type: 'log', domain: around(sizes), ticks: sizes, tickFormat: size, label: 'rows →' },
    y: logAxis(
      marks.map(({ y }) => y),
      what === 'time' ? `↑ ${counted}` : '↑ peak memory, GB',
      short,
    ),
  })
}
