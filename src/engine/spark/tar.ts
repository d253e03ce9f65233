// A tar archive (ustar) of some files. The same files give the same bytes.
const BLOCK = 512

export function tar(files: readonly { path: string; bytes: Uint8Array; executable?: boolean }[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const { path, bytes, executable = false } of files) {
    parts.push(header(path, bytes.length, executable), bytes, new Uint8Array(-bytes.length & (BLOCK - 1)))
  }
  parts.push(new Uint8Array(2 * BLOCK))
  return Buffer.concat(parts)
}

function header(path: string, size: number, executable: boolean): Uint8Array {
  const block = Buffer.alloc(BLOCK)
  if (Buffer.byteLength(path) > 100) throw new Error(`a path of over 100 bytes: ${path}`)
  const octal = (value: number, width: number) => `${value.toString(8).padStart(width - 1, '0')}\0`
  block.write(path, 0)
  block.write(octal(executable ? 0o755 : 0o644, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  block.write(octal(size, 12), 124)
  block.write(octal(0, 12), 136)
  block.write(' '.repeat(8), 148)
  block.write('0', 156)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
