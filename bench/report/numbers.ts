/** Numbers as people read them. */
export const count = (n: number): string => n.toLocaleString('en')

/** Three digits, never an exponent. */
export function short(x: number): string {
  if (x === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))))
  return x.toLocaleString('en', {
    minimumFractionDigits: Math.min(digits, 4),
    maximumFractionDigits: Math.min(digits, 4),
  })
}

export const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2)

export const percentage = (recall: number): string => recall.toFixed(3).replace(/^0/, '')

export const times = (ratio: number): string =>
  `${ratio < 0.95 ? ratio.toPrecision(2) : ratio.toFixed(ratio < 9.95 ? 1 : 0)}×`

/** 10K, 100K, 1M. */
export const size = (rows: number): string =>
  rows % 1_000_000 === 0 ? `${rows / 1_000_000}M` : rows % 1_000 === 0 ? `${rows / 1_000}K` : count(rows)
