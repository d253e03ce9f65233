// Builds the Rust addon and puts it where src/native.ts loads it from: native/nigh.node.
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { explainMissingRust, nativePath, root, runInherit, targetDir } from './lib.mjs'

const missing = explainMissingRust()
if (missing) {
  console.error(missing)
  process.exit(1)
}

const status = await runInherit('cargo', ['build', '--release', '--locked', '-p', 'nigh-node'])
if (status !== 0) {
  console.error('\nThe Rust addon did not compile: the reason is above.')
  process.exit(1)
}

const library = { darwin: 'libnigh_node.dylib', win32: 'nigh_node.dll' }[process.platform] ?? 'libnigh_node.so'
const built = join(targetDir(), 'release', library)
if (!existsSync(built)) {
  console.error(`cargo succeeded, but ${built} is not there. Is another target configured in .cargo/config.toml?`)
  process.exit(1)
}

// A process may have the old addon mapped: never write over it, rename a finished copy into its place.
const current = existsSync(nativePath) ? statSync(nativePath) : undefined
const fresh = statSync(built)
if (!current || current.size !== fresh.size || current.mtimeMs < fresh.mtimeMs) {
  mkdirSync(join(root, 'native'), { recursive: true })
  const temporary = `${nativePath}.${process.pid}.tmp`
  try {
    copyFileSync(built, temporary)
    renameSync(temporary, nativePath)
  } finally {
    rmSync(temporary, { force: true })
  }
}
