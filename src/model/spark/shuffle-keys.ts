// Keys that Spark deals to one partition each. Keys at random would meet: of two blocks, both would come to one task now and then.

/** `numPartitions` whole numbers of 32 bits: `repartition(numPartitions, key)` brings the i-th to partition i. */
export function shuffleKeys(numPartitions: number): number[] {
  const keys: number[] = new Array(numPartitions)
  let missing = numPartitions
  for (let key = 0; missing > 0; key++) {
    const hash = sparkHash(key) % numPartitions
    const partition = hash < 0 ? hash + numPartitions : hash
    if (keys[partition] !== undefined) continue
    keys[partition] = key
    missing--
  }
  return keys
}

/** Spark's `hash` of an int: Murmur3 of its four bytes, seed 42. */
export function sparkHash(value: number): number {
  const k = Math.imul(rotate(Math.imul(value, 0xcc9e2d51), 15), 0x1b873593)
  let h = (Math.imul(rotate(42 ^ k, 13), 5) + 0xe6546b64) ^ 4
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const rotate = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))
