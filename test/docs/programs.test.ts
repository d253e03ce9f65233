// Every TypeScript block of the pages is a program: its types are checked, and it runs.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runPython } from '../support/run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Within the package, so that its own name can be imported.
const directory = join(root, '.build', `docs-${process.pid}`)

const pages = ['docs/pyspark.md', 'docs/guide.md', 'docs/indexes.md', 'README.md']
const blocks = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], i) => ({
    name: `${page} ${i + 1}`,
    folder: join(directory, `${page.replace(/\W/g, '-')}-${i + 1}`),
    code: code!,
  })),
)

beforeAll(() => {
  mkdirSync(directory, { recursive: true })
  runPython('docs_tables.py', directory)
  for (const { folder, code } of blocks) {
    mkdirSync(folder)
    writeFileSync(join(folder, 'program.ts'), code)
    for (const table of ['items.parquet', 'new.parquet', 'queries.parquet']) {
      copyFileSync(join(directory, table), join(folder, table))
    }
  }
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('the blocks have the types they say', () => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root)
  const files = blocks.map(({ folder }) => join(folder, 'program.ts'))
  const program = ts.createProgram(files, { ...options, composite: false, noEmit: true, declaration: false })
  const text = ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => directory,
    getNewLine: () => '\n',
  })
  expect(text).toBe('')
})

describe('runs', () => {
  test.each(blocks)('$name', { timeout: 120_000 }, ({ folder, code }) => {
    // Node 20 does not parse `await using`.
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    })
    const program = join(folder, 'program.mjs')
    writeFileSync(program, outputText)
    const ran = spawnSync(process.execPath, [program], { cwd: folder })
    expect(ran.stderr.toString()).toBe('')
    expect(ran.status).toBe(0)
    // What a comment says of an output is what comes out.
    const said = /console\.log\(.*\) \/\/ ([\d ]+)$/m.exec(code)?.[1]
    if (said) expect(ran.stdout.toString().trim()).toBe(said)
  })
})
