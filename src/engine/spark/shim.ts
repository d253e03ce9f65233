import { readFileSync } from 'node:fs'

let text: string | undefined

/** A Python expression whose value is the shim's function. */
export function shimExpression(): string {
  // From src/ as from dist/.
  text ??= readFileSync(new URL('../../../src/engine/spark/shim.py', import.meta.url), 'utf8')
  // A JSON text of ASCII is a Python text too.
  return `(lambda names: (exec(${JSON.stringify(text)}, names), names['nigh_shim'])[1])({})`
}

/** What the shim is given: the folder of the archive, the schema that Spark expects as an IPC stream, and what the child is to do. */
export function shimPayload(folder: string, schemaIpc: Uint8Array, task: Uint8Array): Uint8Array {
  const parts = [Buffer.from(folder), schemaIpc, task].flatMap((part) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(part.length)
    return [length, part]
  })
  return Buffer.concat(parts)
}
