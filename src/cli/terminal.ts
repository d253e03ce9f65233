// What a running command tells on stderr: one line redrawn on a terminal, a line a stage elsewhere.
import type { ProgressEvent } from '../engine/engine.ts'
import { formatBytes, formatSeconds } from '../join/explain.ts'
import type { WriteProgress } from '../table/write.ts'

const REDRAW_MS = 100
/** What takes no longer says nothing on the way. */
const SILENT_MS = 2000

export interface ProgressLine {
  onProgress: ((event: ProgressEvent) => void) | undefined
  /** Clears the line, or says how the last stage went. */
  end(): void
}

export function progressLine(stream: NodeJS.WriteStream, quiet: boolean): ProgressLine {
  if (quiet) return { onProgress: undefined, end: () => {} }
  return stream.isTTY ? redrawnLine(stream) : stageLines(stream)
}

/** Stage, rows, rate and time left. */
export function describeProgress(
  { stage, done, total, unit = 'rows' }: { stage: string; done: number; total: number; unit?: string | undefined },
  seconds: number,
): string {
  const count = (n: number) => Math.floor(n).toLocaleString('en-US')
  if (total === 0) return `${stage}...`
  const rate = seconds > 0 ? done / seconds : 0
  const left = rate > 0 && done < total ? `, ${formatSeconds((total - done) / rate)} left` : ''
  const percent = Math.floor((100 * done) / total)
  // Stages of tasks come one after the other: their number grows, and no rate tells how long.
  if (unit === 'tasks') return `${stage}  ${count(done)} of ${count(total)} tasks (${percent} %)`
  return `${stage}  ${count(done)} of ${count(total)} rows (${percent} %), ${count(rate)} rows/s${left}`
}

function redrawnLine(stream: NodeJS.WriteStream): ProgressLine {
  let stage: string | undefined
  let started = 0
  let drawn = 0
  let lastDone = 0
  return {
    onProgress(event) {
      const now = performance.now()
      // The same stage may start over: items are read, then queries.
      if (event.stage !== stage || event.done < lastDone) {
        stage = event.stage
        started = now
        drawn = 0
      }
      lastDone = event.done
      if (now - drawn < REDRAW_MS) return
      drawn = now
      const text = describeProgress(event, (now - started) / 1000)
      stream.write(`\r\x1b[2K${text.slice(0, Math.max(20, (stream.columns || 80) - 1))}`)
    },
    end() {
      stream.write('\r\x1b[2K')
    },
  }
}

function stageLines(stream: NodeJS.WriteStream): ProgressLine {
  let stage: string | undefined
  let started = 0
  const finish = () => {
    if (stage) stream.write(`${stage} ${formatSeconds((performance.now() - started) / 1000)}\n`)
  }
  return {
    onProgress(event) {
      if (event.stage === stage) return
      finish()
      stage = event.stage
      started = performance.now()
    },
    end: finish,
  }
}

export interface RowsLine {
  onProgress: ((progress: WriteProgress) => void) | undefined
  /** Clears the line. */
  end(): void
}

/** Rows and bytes of a table on its way, from two seconds on: redrawn on a terminal; elsewhere a line each time it took twice as long. */
export function rowsLine(stream: NodeJS.WriteStream, quiet: boolean, total: number | undefined): RowsLine {
  if (quiet) return { onProgress: undefined, end: () => {} }
  const started = performance.now()
  let next = SILENT_MS
  return {
    onProgress(progress) {
      const took = performance.now() - started
      if (took < next) return
      next = stream.isTTY ? took + REDRAW_MS : 2 * took
      const line = describeRows(progress, total, took / 1000)
      stream.write(stream.isTTY ? `\r\x1b[2K${line.slice(0, Math.max(20, (stream.columns || 80) - 1))}` : `${line}\n`)
    },
    end() {
      if (stream.isTTY && next > SILENT_MS) stream.write('\r\x1b[2K')
    },
  }
}

/** Rows written, bytes read, rate and time left. */
export function describeRows({ rows, bytesRead }: WriteProgress, total: number | undefined, seconds: number): string {
  const read = bytesRead > 0 ? `, ${formatBytes(bytesRead)} read` : ''
  if (total !== undefined) return describeProgress({ stage: 'convert', done: rows, total }, seconds) + read
  return `convert  ${rows.toLocaleString('en-US')} rows${read}, ${formatSeconds(seconds)}`
}
