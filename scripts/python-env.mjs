// Makes .venv with the pinned packages of test/requirements.txt: the interop tests read nigh's tables with pyarrow, deltalake and
// PySpark, and it theirs.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root, runCapture } from './lib.mjs'

const windows = process.platform === 'win32'
const folder = join(root, '.venv')
export const venvPython = join(folder, windows ? 'Scripts/python.exe' : 'bin/python')

const advice = `The interop tests need Python 3.10 or newer with its venv module.

    Debian, Ubuntu:  sudo apt-get install python3 python3-venv
    macOS:           brew install python
    Windows:         winget install Python.Python.3.12`

/** A step for scripts/lib.mjs; nothing to do when the environment is what the requirements ask for. */
export async function stepPython() {
  const requirements = join(root, 'test', 'requirements.txt')
  const stamp = join(folder, 'nigh-requirements')
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex')
  if (existsSync(venvPython) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) {
    return { status: 0, output: '', note: 'up to date' }
  }
  const python = windows ? 'python' : 'python3'
  const version = await runCapture(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
  if (version.status !== 0) return { status: 1, output: `Python 3 was not found.\n\n${advice}` }
  const [major, minor] = version.output.trim().split('.').map(Number)
  if (major < 3 || (major === 3 && minor < 10)) {
    return { status: 1, output: `Python ${version.output.trim()} is too old.\n\n${advice}` }
  }
  rmSync(folder, { recursive: true, force: true })
  const made = await runCapture(python, ['-m', 'venv', folder])
  if (made.status !== 0) return { status: 1, output: `${made.output}\n${advice}` }
  const pip = await runCapture(venvPython, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--only-binary',
    ':all:',
    // Published as source alone: Python and jars (pyspark), and C++ that a compiler builds in some seconds.
    '--no-binary',
    'pyspark,annoy,hnswlib',
    '-r',
    requirements,
  ])
  if (pip.status !== 0) return pip
  writeFileSync(stamp, hash)
  return { status: 0, output: '', note: `Python ${version.output.trim()}` }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const result = await stepPython()
  if (result.status !== 0) console.error(result.output)
  process.exit(result.status)
}
