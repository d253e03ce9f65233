import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchRecord } from '../record.ts'
import { html } from './html.ts'
import { markdown } from './markdown.ts'
import { results } from './results.ts'

/** Writes results.md, report.html and plots/ from a folder's records; gives back a line that says so. */
export function writeReport(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  const records = files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as BenchRecord)
  if (records.length === 0) return `no records in ${folder}`
  const all = results(records)
  const { page, plots } = html(all)
  writeFileSync(join(folder, 'results.md'), markdown(all))
  writeFileSync(join(folder, 'report.html'), page)
  mkdirSync(join(folder, 'plots'), { recursive: true })
  for (const [name, svg] of plots) writeFileSync(join(folder, 'plots', `${name}.svg`), `${svg}\n`)
  return `${records.length} records: results.md, report.html and ${plots.size} plots in ${folder}`
}
