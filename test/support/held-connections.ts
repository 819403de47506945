import { once } from 'node:events';
import { connect } from 'node:net';

/** Opens so many connections to a port of this machine, and says nothing on them. */
export async function holdConnections(port: number, count: number): Promise<{ release(): void }> {
  const sockets = Array.from({ length: count }, () => connect({ host: '127.0.0.1', port }));
  for (const socket of sockets) socket.on('error', () => {});
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return {
    release() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
