import { connect, createServer, type Socket } from 'node:net'

/** A way to a server that can be cut. */
export interface Proxy {
  port: number
  /** Ends all connections there are; new ones go through. */
  cut(): number
  close(): void
}

export function startProxy(port: number): Promise<Proxy> {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket)
      socket.pipe(other)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const cut = () => {
        const count = open.size
        for (const socket of open) socket.destroy()
        return count
      }
      const close = () => {
        server.close()
        cut()
      }
      resolve({ port: (server.address() as { port: number }).port, cut, close })
    })
  })
}
