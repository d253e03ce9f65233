import { caption, detail, grouped, grown, provenance, summary, title } from './markdown.ts'
import { recallPlot, sizePlot } from './plots.ts'
import type { Result } from './results.ts'

const plain = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
h1,h2,h3{line-height:1.2}h2{margin-top:2.5em;border-top:1px solid #ccc;padding-top:1em}
table{border-collapse:collapse;font-size:13px;margin:1em 0}th,td{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:left}
td:not(:first-child){font-variant-numeric:tabular-nums}tr.ours td{font-weight:600}
figure{margin:1em 0}svg{max-width:100%;height:auto}p.where{color:#666;font-size:13px}details{margin:.5em 0}`

/** The tables of markdown.ts as HTML: their cells hold no markup. */
function htmlTable(markdown: string): string {
  const rows = markdown.split('\n').map((line) =>
    line
      .slice(2, -2)
      .split(/ (?<!\\)\| /)
      .map((cell) => cell.replaceAll('\\|', '|')),
  )
  const cells = (tag: string, values: string[]) =>
    values.map((value) => `<${tag}>${plain(value.trim())}</${tag}>`).join('')
  const body = rows
    .slice(2)
    .map((values) => `<tr${values[0]!.startsWith('nigh') ? ' class="ours"' : ''}>${cells('td', values)}</tr>`)
  return `<table><thead><tr>${cells('th', rows[0]!)}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}

/** A page that needs nothing beside it, and the plots by name. */
export function html(all: Result[]): { page: string; plots: Map<string, string> } {
  const plots = new Map<string, string>()
  const figure = (name: string, svg: string | undefined) => {
    if (!svg) return ''
    plots.set(name, svg)
    return `<figure>${svg}</figure>`
  }
  const drawn = new Set<string>()
  const sections = grouped(all).map((group) => {
    const { record, given, target } = group[0]!
    const name = `${record.scenario}-${given.threads}-threads`
    const curves = group.map((result) => {
      // The curve is the same at every target.
      const { rows, batch } = result.given
      const curve = `${name}-recall-${rows}${batch ? `-${batch}` : ''}`
      if (drawn.has(curve)) return ''
      drawn.add(curve)
      return figure(curve, recallPlot(result))
    })
    const details = group.map((result) => `<h3>${plain(caption(result.given))}</h3>${htmlTable(detail(result))}`)
    return [
      `<h2>${plain(title(group))}</h2><p class="where">${plain(provenance(group.at(-1)!.record))}</p>`,
      record.compare === 'settings' ? '' : htmlTable(summary(group)),
      `<p>${plain(grown(group))}</p>`,
      figure(`${name}-time-${target}`, sizePlot(group, 'time')),
      figure(`${name}-memory-${target}`, sizePlot(group, 'memory')),
      ...curves,
      record.compare === 'settings'
        ? details.join('')
        : `<details><summary>Every engine</summary>${details.join('')}</details>`,
    ].join('\n')
  })
  const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nigh: benchmark</title><style>${style}</style></head>`
  const page = `${head}<body><h1>nigh: benchmark</h1><p>Each engine at the best setting of its grid that reaches the recall; “to nigh” is time over nigh's.
How the figures were taken and what they favor is in METHODOLOGY.md.</p>${sections.join('\n')}</body></html>\n`
  return { page, plots }
}
