// What a running command tells on stderr: one line redrawn on a terminal, a line a stage elsewhere.
import type { ProgressEvent } from '../engine/engine.ts'
import { formatSeconds } from '../join/explain.ts'

const REDRAW_MS = 100

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
export function describeProgress({ stage, done, total }: ProgressEvent, seconds: number): string {
  const count = (n: number) => Math.floor(n).toLocaleString('en-US')
  if (total === 0) return `${stage}...`
  const rate = seconds > 0 ? done / seconds : 0
  const left = rate > 0 && done < total ? `, ${formatSeconds((total - done) / rate)} left` : ''
  const percent = Math.floor((100 * done) / total)
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
