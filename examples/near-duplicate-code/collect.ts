import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'

/** A few consecutive lines of code: a row of the table. */
export interface Snippet {
  package: string
  path: string
  line: number
  lastLine: number
  lines: string[]
}

const extensions = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'])

function* sourceFiles(folder: string): Generator<string> {
  const entries = readdirSync(folder, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !entry.name.startsWith('.')) yield* sourceFiles(path)
    else if (entry.isFile() && extensions.has(extname(path)) && !/\.(min|d)\.\w+$/.test(entry.name)) yield path
  }
}

/** `node_modules/a/node_modules/@b/c/lib/x.js` belongs to `@b/c`. */
function packageOf(path: string): string {
  const parts = path.split(/[\\/]/)
  const at = parts.lastIndexOf('node_modules') + 1
  return parts[at]?.startsWith('@') ? `${parts[at]}/${parts[at + 1]}` : (parts[at] ?? '')
}

// Lines that say nothing by themselves: a window is made of the others.
const trivial =
  /^(?:[\s{}()[\];,]*|import\b.*|export \{.*|export \* .*|['"]use strict['"];?|\/\/.*|\/\*.*|\*.*|<!--.*)$/

function codeLines(source: string): { text: string; line: number }[] {
  const kept: { text: string; line: number }[] = []
  let line = 0
  let inComment = false
  for (const raw of source.split('\n')) {
    line++
    const text = raw.trimEnd()
    if (inComment || text.trimStart().startsWith('/*')) {
      inComment = !text.includes('*/')
      continue
    }
    // Longer lines are minified code or data.
    if (text.length <= 160 && !trivial.test(text.trimStart())) kept.push({ text, line })
  }
  return kept
}

/** Whether a window starts here: decided by the line itself, so that two copies of some code are cut at the same places. */
function startsWindow(line: string): boolean {
  let hash = 0
  for (let i = 0; i < line.length; i++) hash = (Math.imul(hash, 31) + line.charCodeAt(i)) | 0
  return ((hash ^ (hash >>> 16)) & 1) === 0
}

/**
 * Windows of `size` lines of code of the sources under `folder`, starting at about every other line. A window that the same package
 * has already (the same file as .js and .mjs, say) is left out.
 */
export function* snippets(folder: string, size: number): Generator<Snippet> {
  const seen = new Map<string, Set<string>>()
  for (const file of sourceFiles(folder)) {
    const path = relative(join(folder, '..'), file)
    const name = packageOf(path)
    const source = readFileSync(file, 'utf8')
    const lines = codeLines(source)
    if (source.length / (lines.length + 1) > 200) continue
    let texts = seen.get(name)
    if (!texts) {
      texts = new Set()
      seen.set(name, texts)
    }
    for (let i = 0; i + size <= lines.length; i++) {
      if (!startsWindow(lines[i]!.text.trim())) continue
      const window = lines.slice(i, i + size)
      const key = window.map((l) => l.text.trim()).join('\n')
      if (texts.has(key)) continue
      texts.add(key)
      yield {
        package: name,
        path,
        line: window[0]!.line,
        lastLine: window.at(-1)!.line,
        lines: window.map((l) => l.text),
      }
    }
  }
}
