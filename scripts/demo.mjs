// `npm run demo`, from a fresh clone: installs, builds, then runs examples/near-duplicate-code on this project's own dependencies.

import { existsSync } from 'node:fs'
import {
  explainMissingRust,
  explainOldNode,
  installed,
  nativePath,
  paint,
  runInherit,
  Steps,
  stepInstall,
  stepNative,
  typescript,
} from './lib.mjs'

const missing = explainOldNode() ?? explainMissingRust()
if (missing) {
  console.error(missing)
  process.exit(1)
}

if (!existsSync(nativePath) || !installed()) {
  console.log(paint.dim('First run: installing and compiling takes some minutes. Later runs start at once.\n'))
}
const steps = new Steps()
for (const [name, action] of [
  ['npm ci', stepInstall],
  ['build: the Rust addon', stepNative],
  ['build: TypeScript', typescript('tsconfig.src.json', 'tsconfig.examples.json')],
]) {
  await steps.run(name, action)
  if (steps.failed.length) process.exit(1)
}
console.log()
process.exit(
  await runInherit(process.execPath, ['.build/examples/near-duplicate-code/main.js', ...process.argv.slice(2)]),
)
