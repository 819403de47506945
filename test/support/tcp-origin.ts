import { type AddressInfo, createServer, type Socket } from 'node:net';

/** An origin that speaks no protocol: what arrived is kept, what it sends is the test's. */
export interface TcpOrigin {
  readonly port: number;
  /** In the order they came. */
  readonly sockets: readonly Socket[];
  /** As latin1, while nothing else was asked of the connection. */
  received(index: number): string | undefined;
  closed(index: number): boolean;
  /** From now on the connection gives back what arrives, and keeps nothing. */
  echo(index: number): void;
  /** From now on connections are refused; those that are open stay. */
  refuse(): void;
  stop(): Promise<void>;
}

export async function scriptTcp(): Promise<TcpOrigin> {
  const sockets: Socket[] = [];
  const received: string[] = [];
  const closed = new Set<number>();
  const server = createServer((socket) => {
    const index = sockets.push(socket) - 1;
    received.push('');
    socket.on('data', (chunk) => {
      received[index] += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => closed.add(index));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stopped = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    received: (index) => received[index],
    closed: (index) => closed.has(index),
    echo(index) {
      sockets[index]!.removeAllListeners('data').pipe(sockets[index]!);
    },
    refuse: () => server.close(),
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      return stopped;
    },
  };
}
