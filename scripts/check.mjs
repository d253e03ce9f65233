// The quick loop while working: format, lint, types, unit tests. `npm run ci` is the whole of it.
import { existsSync } from 'node:fs'
import { cargo, nativePath, Steps, stepInstall, stepNative, tool, typescript } from './lib.mjs'

const steps = new Steps()
const run = async (...args) => {
  await steps.run(...args)
  if (steps.failed.length) process.exit(1)
}

await run('npm ci', stepInstall)
await run('format and lint: Biome', tool('@biomejs/biome/bin/biome', ['check', '--colors=off', '.']))
await run('format: rustfmt', cargo(['fmt', '--all', '--check', '--', '--color', 'never']))
await run('types: tsc', typescript())
if (!existsSync(nativePath)) await run('build: the Rust addon', stepNative)
await run('test: vitest', tool('vitest/vitest.mjs', ['run']))
