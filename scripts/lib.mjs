// What the scripts share. Node built-ins only: these run before anything is installed.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const nativePath = join(root, 'native', 'nigh.node')

const windows = process.platform === 'win32'

/** The folder cargo builds into. */
export function targetDir() {
  const set = process.env.CARGO_TARGET_DIR
  return set ? (isAbsolute(set) ? set : join(root, set)) : join(root, 'target')
}

/** Runs a command with the terminal's own stdin, stdout and stderr; resolves to its exit status. */
export function runInherit(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', shell: windows, ...options })
    child.on('error', () => resolve(127))
    child.on('exit', (code, signal) => resolve(code ?? (signal ? 130 : 1)))
  })
}

/** Runs a command; resolves to its exit status and everything it wrote, both streams in order of arrival. */
export function runCapture(command, args, { onOutput, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], shell: windows, ...options })
    let output = ''
    const take = (chunk) => {
      output += chunk
      onOutput?.(String(chunk))
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', (error) => resolve({ status: 127, output: `${output}${command}: ${error.message}\n` }))
    child.on('close', (code, signal) => resolve({ status: code ?? (signal ? 130 : 1), output }))
  })
}

function firstLine(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell: windows })
  return result.status === 0 ? result.stdout.trim().split('\n')[0] : undefined
}

function olderThan(version, minimum) {
  const [a, b] = [version, minimum].map((text) => text.split('.').map(Number))
  for (let i = 0; i < b.length; i++) if ((a[i] ?? 0) !== b[i]) return (a[i] ?? 0) < b[i]
  return false
}

/** What to do about Rust, in plain words; undefined when it is here and new enough. */
export function explainMissingRust() {
  const minimum = /rust-version = "([\d.]+)"/.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))?.[1] ?? '1.88'
  const install = [
    `nigh's inner loops are written in Rust and are compiled on this machine; that needs Rust ${minimum} or newer.`,
    'Install it (no administrator rights needed), open a new terminal and run the same command again:',
    '',
    windows
      ? '    winget install Rustlang.Rustup'
      : "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal",
    '',
    'Other ways: https://www.rust-lang.org/tools/install',
  ].join('\n')
  const cargo = firstLine('cargo', ['--version'])
  const rustc = firstLine('rustc', ['--version'])
  if (!cargo || !rustc) {
    const pinned = /channel = "([\d.]+)"/.exec(readFileSync(join(root, 'rust-toolchain.toml'), 'utf8'))?.[1]
    if (firstLine('rustup', ['--version'])) {
      return `Rust's installer is here, but not the Rust ${pinned} that this project pins. Run:\n\n    rustup toolchain install ${pinned} --profile minimal --component rustfmt,clippy`
    }
    return `Rust was not found (no ${cargo ? 'rustc' : 'cargo'} on the PATH).\n\n${install}`
  }
  const version = /(\d+\.\d+\.\d+)/.exec(rustc)?.[1] ?? '0'
  if (olderThan(version, minimum)) {
    return `Rust ${version} is too old.\n\n${install}\n\nWith rustup: rustup update stable`
  }
  if (!windows && !['cc', 'gcc', 'clang'].some((compiler) => firstLine(compiler, ['--version']))) {
    const how = process.platform === 'darwin' ? 'xcode-select --install' : 'sudo apt-get install build-essential'
    return `Rust is here, but the C compiler it links with is not. Install one, then run the same command again:\n\n    ${how}`
  }
  return undefined
}

/** What to do about Node, in plain words; undefined when it is new enough. */
export function explainOldNode() {
  const version = process.versions.node
  return olderThan(version, '20.19') ? `Node ${version} is too old: nigh is built with Node 20.19 or newer.` : undefined
}

/** Whether node_modules is what package-lock.json asks for. */
export function installed() {
  const marker = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(marker)) return false
  const want = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  const have = JSON.parse(readFileSync(marker, 'utf8')).packages
  return Object.entries(want).every(([path, entry]) => {
    if (path === '') return true
    const got = have[path]
    // Optional packages are those of other platforms; a missing one was not meant for this machine.
    return got ? got.version === entry.version && existsSync(join(root, path)) : entry.optional === true
  })
}

const tty = process.stdout.isTTY === true
const color = tty && !process.env.NO_COLOR
export const paint = {
  bold: (text) => (color ? `\x1b[1m${text}\x1b[22m` : text),
  dim: (text) => (color ? `\x1b[2m${text}\x1b[22m` : text),
  red: (text) => (color ? `\x1b[31m${text}\x1b[39m` : text),
  green: (text) => (color ? `\x1b[32m${text}\x1b[39m` : text),
}

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`

/**
 * Runs named steps in order and prints a line each. A step is a function of `say` (a word on how far it is) that resolves to
 * `{ status, output, note }`. When one fails, what it wrote is printed and `failed` holds its name.
 */
export class Steps {
  failed = []

  async run(name, action) {
    const start = performance.now()
    const elapsed = () => seconds(performance.now() - start)
    let word = ''
    const progress = () => {
      if (tty) {
        process.stdout.write(
          `\r\x1b[2K  ..   ${name.padEnd(44)} ${elapsed().padStart(9)}  ${paint.dim(word.slice(0, 40))}`,
        )
      } else {
        console.log(`  ..   ${name.padEnd(44)} ${elapsed().padStart(9)}  ${word}`)
      }
    }
    const ticker = setInterval(progress, tty ? 250 : 30_000)
    if (tty) progress()
    const result = await action((text) => {
      word = text
    }).catch((error) => ({ status: 1, output: error?.stack ?? String(error), note: undefined }))
    clearInterval(ticker)
    const ok = result.status === 0
    if (tty) process.stdout.write('\r\x1b[2K')
    console.log(
      `${ok ? paint.green('  ok  ') : paint.red('FAILED')} ${name.padEnd(44)} ${elapsed().padStart(9)}  ${paint.dim(result.note ?? '')}`.trimEnd(),
    )
    if (!ok) {
      this.failed.push(name)
      console.log(`\n${result.output.trimEnd()}\n`)
    }
    return result
  }
}

const npm = windows ? 'npm.cmd' : 'npm'

/** Installs what package-lock.json pins; nothing to do when it is there already. */
export async function stepInstall() {
  if (installed()) return { status: 0, output: '', note: 'up to date' }
  const result = await runCapture(npm, ['ci', '--no-audit', '--no-fund'])
  return { ...result, note: /added \d+ packages/.exec(result.output)?.[0] }
}

/** A cargo command, saying which crate it is at. */
export function cargo(args, program = 'cargo') {
  return async (say) => {
    let count = 0
    const onOutput = (chunk) => {
      const crates = chunk.match(/(?:Compiling|Checking) [\w-]+/g)
      if (!crates) return
      count += crates.length
      say(`${count} crates, now ${crates.at(-1).split(' ')[1]}`)
    }
    const result = await runCapture(program, args, { onOutput })
    return { ...result, note: count ? `${count} crates compiled` : undefined }
  }
}

/** The release addon, at native/nigh.node. */
export const stepNative = cargo(['scripts/build-native.mjs'], process.execPath)

/** A program of node_modules, run by this Node. */
export function tool(script, args, options = {}) {
  return async () => runCapture(process.execPath, [join(root, 'node_modules', script), ...args], options)
}

export const typescript = (...projects) => tool('typescript/bin/tsc', ['-b', ...projects])
