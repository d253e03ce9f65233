// Cells as they lie beside the output, for all tasks.
import { readFileSync } from 'node:fs'
import type { Cells } from '../../partition/cells.ts'
import type { Space } from '../../partition/space.ts'

export interface SavedCells {
  space: Space
  cells: Cells
}

export function readCells(path: string): SavedCells {
  const { space, cells } = JSON.parse(readFileSync(path, 'utf8')) as {
    space: SavedCells['space']
    cells: { dim: number; numPartitions: number; centers: string; partitionOf: number[] }
  }
  const bytes = Uint8Array.from(Buffer.from(cells.centers, 'base64'))
  const centers = new Float32Array(bytes.buffer)
  return { space, cells: { ...cells, centers, partitionOf: Uint32Array.from(cells.partitionOf) } }
}

export function cellsJson({ space, cells }: SavedCells): string {
  const { dim, numPartitions, centers, partitionOf } = cells
  const base64 = Buffer.from(centers.buffer, centers.byteOffset, centers.byteLength).toString('base64')
  return JSON.stringify({ space, cells: { dim, numPartitions, centers: base64, partitionOf: [...partitionOf] } })
}
