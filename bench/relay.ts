import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { edgeServerName } from '../src/tunnel/edge-dial.ts';
import { HighWater } from '../src/tunnel/high-water.ts';
import { Output, outputHighWaterBytes } from '../src/tunnel/output.ts';
import { onChunk, withSharedReads } from '../src/tunnel/shared-reads.ts';
import { serveOrders } from './orders.ts';

/**
 * What of a connector's work is Node.js' own: it carries the bytes of the load between TLS to the edge and TCP to the
 * origin, read and written as our connector does, and knows nothing of HTTP. Each client has a pair of connections.
 */

export type RelayOrder = { readonly type: 'pid' } | ({ readonly type: 'run' } & RelayWorld);

export interface RelayWorld {
  readonly relayPort: number;
  readonly originPort: number;
  readonly ca: string;
  readonly pairs: number;
}

const host = '127.0.0.1';

/** A pair that ends is followed by a new one, for the next client. */
function open(world: RelayWorld): void {
  const { relayPort, originPort, ca } = world;
  const edge = withSharedReads((reads) =>
    connectTls({ host, port: relayPort, servername: edgeServerName, ca, ...reads }),
  );
  const origin = withSharedReads((reads) => connectTcp({ host, port: originPort, ...reads }));
  const ways = [
    [edge, origin],
    [origin, edge],
  ] as const;
  for (const [from, to] of ways) {
    const output = new Output(to, new HighWater(outputHighWaterBytes), () => from.resume());
    to.setNoDelay(true);
    onChunk(from, (chunk) => {
      output.append(chunk);
      if (output.full) from.pause();
    });
    from.on('error', () => {});
    from.on('close', () => {
      output.close();
      to.destroy();
    });
  }
  edge.on('close', () => open(world));
}

serveOrders<RelayOrder, number>(async (order) => {
  if (order.type === 'run') for (let i = 0; i < order.pairs; i++) open(order);
  return process.pid;
});
