// What a task is and sees, for `nigh spark doctor`.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { Table, Utf8, vectorFromArray } from 'apache-arrow'
import { callNow } from '../../native.ts'
import type { Look, Seen } from './doctor.ts'

export async function* look(_: AsyncIterable<Table>, { probe, answer }: Look): AsyncGenerator<Table> {
  const path = answer && `${answer}-${process.pid}`
  let canWrite: boolean | undefined
  if (path !== undefined) {
    try {
      writeFileSync(path, hostname())
      canWrite = true
    } catch {
      canWrite = false
    }
  }
  const seen: Seen = {
    host: hostname(),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    pyarrow: process.env.NIGH_PYARROW ?? '',
    level: callNow((native) => native.cpu()).level,
    seesProbe: probe === undefined ? undefined : existsSync(probe),
    answer: canWrite ? path : undefined,
  }
  if (path !== undefined && !canWrite) rmSync(path, { force: true })
  yield new Table({ seen: vectorFromArray([JSON.stringify(seen)], new Utf8()) })
}
