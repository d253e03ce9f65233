/**
 * An embedding of code in a page: hashed words and word pairs, weighted by how rare they are (tf-idf), projected onto `dim` random
 * directions. Two snippets that share most of their rare words and pairs point the same way, whatever the names of the rest.
 */

const bits = 18
const mask = (1 << bits) - 1
// Each feature adds to this many of the dimensions: a sparse random projection (Achlioptas 2003) keeps angles as a dense one does.
const spread = 16

const token = /[A-Za-z_$][\w$]*|\d[\w.]*|=>|[=!<>]=+|&&|\|\||[^\s\w;,]/g

function hash(text: string, seed: number): number {
  let h = seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h ^= h >>> 15
  h = Math.imul(h, 0x2c1b3c6d)
  return h ^ (h >>> 13)
}

/** The features of some lines: a bucket for each word, and one for each pair of neighboring words. */
function features(lines: string[], into: number[]): void {
  into.length = 0
  let previous = 0
  for (const line of lines) {
    for (const word of line.match(token) ?? []) {
      const h = hash(word, 0x811c9dc5)
      // Brackets and operators count only as part of a pair.
      if (word.length > 1) into.push(h & mask)
      if (previous !== 0) into.push((Math.imul(previous, 0x9e3779b1) ^ h) & mask)
      previous = h | 1
    }
  }
}

/** Row-major unit vectors, one for each text. Deterministic: the projection's signs come from a fixed generator. */
export function embed(texts: string[][], dim: number): Float32Array {
  // Each text's distinct features, and in how many texts a feature stands.
  const offsets = new Uint32Array(texts.length + 1)
  let flat = new Uint32Array(texts.length * 64)
  const numTexts = new Uint32Array(mask + 1)
  const found: number[] = []
  texts.forEach((lines, row) => {
    features(lines, found)
    found.sort((a, b) => a - b)
    let end = offsets[row]!
    if (end + found.length > flat.length) {
      const larger = new Uint32Array(Math.max(flat.length * 2, end + found.length))
      larger.set(flat)
      flat = larger
    }
    for (let i = 0; i < found.length; i++) {
      if (i > 0 && found[i] === found[i - 1]) continue
      numTexts[found[i]!]!++
      flat[end++] = found[i]!
    }
    offsets[row + 1] = end
  })

  let state = 20_251_121
  const random = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  const axes = new Uint16Array((mask + 1) * spread)
  for (let i = 0; i < axes.length; i++) axes[i] = random() % dim
  const signs = new Uint16Array(mask + 1)
  for (let i = 0; i < signs.length; i++) signs[i] = random() & 0xffff

  const vectors = new Float32Array(texts.length * dim)
  for (let row = 0; row < texts.length; row++) {
    const vector = vectors.subarray(row * dim, (row + 1) * dim)
    for (let i = offsets[row]!; i < offsets[row + 1]!; i++) {
      const feature = flat[i]!
      const weight = Math.log((1 + texts.length) / numTexts[feature]!)
      for (let j = 0; j < spread; j++) {
        const axis = axes[feature * spread + j]!
        vector[axis] = vector[axis]! + ((signs[feature]! >>> j) & 1 ? weight : -weight)
      }
    }
    let norm = 0
    for (const x of vector) norm += x * x
    if (norm > 0) {
      const scale = 1 / Math.sqrt(norm)
      for (let j = 0; j < dim; j++) vector[j] = vector[j]! * scale
    }
  }
  return vectors
}
