// Everything that must hold before a change is merged, from a fresh clone: `npm run ci`.
// The last line is `N passed, N failed`: the tests of both languages, and one failure for each other step that failed.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  cargo,
  explainMissingRust,
  explainOldNode,
  root,
  runCapture,
  Steps,
  seconds,
  stepInstall,
  stepNative,
  tool,
  typescript,
} from './lib.mjs'
import { stepPython, venvPython } from './python-env.mjs'

const start = performance.now()
const steps = new Steps()
let passed = 0
let failed = 0
const failedTests = new Set()

function finish() {
  failed += steps.failed.filter((name) => !failedTests.has(name)).length
  console.log(
    `\n${seconds(performance.now() - start)}${steps.failed.length ? `; failed: ${steps.failed.join(', ')}` : ''}`,
  )
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed || passed === 0 ? 1 : 0)
}

const missing = explainOldNode() ?? explainMissingRust()
if (missing) {
  console.log(`${missing}\n`)
  steps.failed.push('tools of this machine')
  finish()
}

/** Runs a step of tests: what it counted is added up, and only a failure outside of any test counts by itself. */
async function tests(name, action) {
  const result = await steps.run(name, action)
  passed += result.passed ?? 0
  failed += result.failed ?? 0
  if (result.failed) failedTests.add(name)
}

const counted = (result, counts) => ({ ...result, ...counts, note: `${counts.passed} passed, ${counts.failed} failed` })

async function cargoTest(say) {
  const result = await cargo(['test', '--workspace', '--release', '--locked', '--no-fail-fast'])(say)
  const counts = { passed: 0, failed: 0 }
  for (const [, ok, bad] of result.output.matchAll(/test result: \w+\. (\d+) passed; (\d+) failed/g)) {
    counts.passed += Number(ok)
    counts.failed += Number(bad)
  }
  // When tests fail, what the others said is noise.
  const output = result.output.replace(
    /^(?:test .* \.\.\. ok| *(?:Compiling|Running|Doc-tests) .*|running \d+ tests?)\n/gm,
    '',
  )
  return counted({ ...result, output: output.replace(/\n{3,}/g, '\n\n') }, counts)
}

async function vitest() {
  const file = join(root, '.build', 'vitest.json')
  mkdirSync(join(root, '.build'), { recursive: true })
  rmSync(file, { force: true })
  const result = await tool(
    'vitest/vitest.mjs',
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
    { env: { ...process.env, CI: '1', NO_COLOR: '1', NIGH_PYTHON: venvPython } },
  )()
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    return counted(result, { passed: report.numPassedTests, failed: report.numFailedTests })
  } catch {
    return result
  }
}

const node =
  (...args) =>
  async () =>
    runCapture(process.execPath, args)

const install = await steps.run('npm ci', stepInstall)
await steps.run('Python packages for the interop tests', stepPython)
if (install.status !== 0) finish()

await steps.run('format: rustfmt', cargo(['fmt', '--all', '--check', '--', '--color', 'never']))
await steps.run('format and lint: Biome', tool('@biomejs/biome/bin/biome', ['ci', '--colors=off', '.']))
const native = await steps.run('build: the Rust addon', stepNative)
const types = await steps.run('build and types: tsc', typescript())
await steps.run(
  'lint: clippy',
  cargo(['clippy', '--workspace', '--all-targets', '--release', '--locked', '--', '-D', 'warnings']),
)
await tests('test: cargo', cargoTest)

if (native.status === 0 && types.status === 0) {
  await tests('test: vitest', vitest)
  await steps.run('package: publint', tool('publint/src/cli.js', ['--strict']))
  await steps.run(
    'package: types as seen by users (attw)',
    tool('@arethetypeswrong/cli/dist/index.js', ['--pack', '.', '--profile', 'esm-only']),
  )
  await steps.run('package: nothing unused (knip)', tool('knip/bin/knip.js', []))
  await steps.run('example: library', node('.build/examples/library/main.js'))
  await steps.run('example: dataset', node('.build/examples/dataset/main.js'))
  await steps.run('example: classifier', node('.build/examples/classifier/main.js'))
  await steps.run(
    'example: near-duplicate code, a small run',
    node('.build/examples/near-duplicate-code/main.js', '--rows', '20000', '--dir', '.build/demo'),
  )
}
finish()
