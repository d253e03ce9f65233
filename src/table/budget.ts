// How much memory a join may use.
import { freemem } from 'node:os'
import { invalidOption } from '../errors.ts'

export const DEFAULT_MEMORY = '70%'

const UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
}

/** Bytes of `512MB`, `3GB`, `2GiB` or a number of bytes; a percentage is that of the memory that is free. */
export function memoryBytes(size: number | string, free: () => number = freeMemory): number {
  const wrong = () => invalidOption('memory', `must be like 512MB, 3GB, 2GiB or 70%, not ${JSON.stringify(size)}`)
  if (typeof size === 'number') {
    if (!(size > 0 && Number.isFinite(size))) throw wrong()
    return Math.floor(size)
  }
  const match = /^(\d+(?:\.\d+)?)\s*([a-z%]*)$/i.exec(String(size).trim())
  const amount = Number(match?.[1])
  if (!match || !(amount > 0)) throw wrong()
  if (match[2] === '%') {
    if (amount > 100) throw invalidOption('memory', `${size} is more than there is`)
    return Math.floor((amount / 100) * free())
  }
  const letters = match[2]!.toUpperCase()
  const unit = UNITS[letters] ?? UNITS[`${letters}B`]
  if (unit === undefined) throw wrong()
  return Math.floor(amount * unit)
}

/** What the machine has free for this process: the limit of its container counts as the machine. */
function freeMemory(): number {
  const limit = process.constrainedMemory()
  // Zero or an absurd number: there is no limit.
  if (!(limit > 0) || limit > 2 ** 50) return freemem()
  return Math.max(0, Math.min(freemem(), limit - process.memoryUsage.rss()))
}
