// What goes between the shim and a task: a length in four bytes and so many bytes; a length of 0 ends it.
import type { Readable, Writable } from 'node:stream'

/** The frames of a stream. Ends early only by failing. */
export async function* readFrames(input: Readable): AsyncGenerator<Buffer, void, undefined> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer[] = []
  let size = 0
  const take = async (count: number): Promise<Buffer> => {
    while (size < count) {
      const { value, done } = await chunks.next()
      if (done) throw new Error('the input ended before its end was told')
      held.push(value)
      size += value.length
    }
    const all = held.length === 1 ? held[0]! : Buffer.concat(held, size)
    held = all.length > count ? [all.subarray(count)] : []
    size -= count
    return all.subarray(0, count)
  }
  for (;;) {
    const length = (await take(4)).readUInt32LE()
    if (length === 0) return
    yield await take(length)
  }
}

/** Writes a frame, and waits where the reader is slower. */
export async function writeFrame(output: Writable, bytes: Uint8Array): Promise<void> {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(bytes.length)
  output.write(head)
  if (bytes.length === 0 || output.write(bytes)) return
  await new Promise<void>((resolve) => output.once('drain', resolve))
}
