// Keys that Spark's shuffle deals out evenly: it takes the hash of a key modulo the number of partitions.

/** Spark's `hash` of an int: Murmur3, x86, 32 bits, seed 42. */
export function sparkHash(value: number): number {
  let k = Math.imul(value, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  let h = 42 ^ k
  h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  h ^= 4
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** An int for each of so many partitions that Spark brings there, and nothing else. */
export function shuffleKeys(numPartitions: number): number[] {
  const keys = new Array<number>(numPartitions).fill(-1)
  let missing = numPartitions
  for (let value = 0; missing > 0; value++) {
    const hash = sparkHash(value) % numPartitions
    const partition = hash < 0 ? hash + numPartitions : hash
    if (keys[partition] !== -1) continue
    keys[partition] = value
    missing--
  }
  return keys
}
