import type { Server } from 'node:net';

/** Probes and scrapes are few, and short; more is somebody who holds connections open. */
const most = 64;

/**
 * Keeps no more than the latest connections of a server that probes ask: one more takes the place of the oldest. If it were
 * refused, whoever holds connections open could keep the kubelet out, which then restarts us.
 */
export function keepLatestConnections(server: Server): void {
  /** Oldest first. */
  const open = new Set<{ destroy(): unknown }>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const [oldest] = open;
    if (open.size > most) oldest?.destroy();
  });
}
