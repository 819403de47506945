import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { unreachable } from '../src/fault.ts';
import { createAuthority } from '../src/sandbox/certificates.ts';
import { ciphers } from './ciphers.ts';
import { openControlStream } from './edge/control-stream.ts';
import { Http1Front } from './edge/http1-front.ts';
import { serveHttp2Front } from './edge/http2-front.ts';
import { RelayPairs } from './edge/relay-pairs.ts';
import { Http2Connection } from './http2-connection.ts';
import { serveOrders } from './orders.ts';

/** The bench's edge, a process of its own: connectors register with it, the load generator meets its front. */

export type EdgeOrder =
  | { readonly type: 'addresses' }
  /** Answered once the tunnel has so many registered connections. */
  | { readonly type: 'connections'; readonly tunnelId: string; readonly count: number }
  /** Answered once so many connections of a relay wait for clients. */
  | { readonly type: 'relays'; readonly count: number };

export interface EdgeAddresses {
  readonly tunnelPort: number;
  /** Where clients of HTTP/1.1 connect to, and where those of HTTP/2 do. */
  readonly frontPort: number;
  readonly http2FrontPort: number;
  /** Where a bare relay connects to (TLS), and where its clients do. */
  readonly relayPort: number;
  readonly relayFrontPort: number;
  /** PEM of the root that vouches for the edge. */
  readonly ca: string;
}

interface Tunnel {
  readonly connections: Http2Connection[];
  next: number;
}

const tunnels = new Map<string, Tunnel>();
let registrationsChanged = (): void => {};

const authority = createAuthority('bench edge');
const certificate = authority.issue({ dnsNames: ['h2.cftunnel.com'] });
const tunnelServer = createTlsServer({ ...certificate, ciphers }, (socket) => {
  const connection = new Http2Connection(socket, () => unregister(connection));
  openControlStream(connection, {
    registered: (tunnelId) => {
      const tunnel = tunnels.get(tunnelId) ?? { connections: [], next: 0 };
      tunnels.set(tunnelId, tunnel);
      tunnel.connections.push(connection);
      registrationsChanged();
    },
    unregistered: () => {
      unregister(connection);
      // The answer first; after it the connector waits for us (protocol page, section 12.5).
      setImmediate(() => connection.close());
    },
  });
});
const frontServer = createServer((socket) => new Http1Front(socket, route));
const http2FrontServer = createServer((socket) => serveHttp2Front(socket, route));
const relays = new RelayPairs();
const relayServer = createTlsServer({ ...certificate, ciphers }, (socket) => relays.relay(socket));
const relayFrontServer = createServer((socket) => relays.client(socket));

function unregister(connection: Http2Connection): void {
  for (const { connections } of tunnels.values()) {
    const index = connections.indexOf(connection);
    if (index >= 0) connections.splice(index, 1);
  }
}

function route(tunnelId: string): Http2Connection | null {
  const tunnel = tunnels.get(tunnelId);
  if (tunnel === undefined || tunnel.connections.length === 0) return null;
  tunnel.next = (tunnel.next + 1) % tunnel.connections.length;
  return tunnel.connections[tunnel.next] ?? null;
}

async function addresses(): Promise<EdgeAddresses> {
  const servers = [tunnelServer, frontServer, http2FrontServer, relayServer, relayFrontServer] as const;
  const [tunnelPort = 0, frontPort = 0, http2FrontPort = 0, relayPort = 0, relayFrontPort = 0] =
    await Promise.all(servers.map(listen));
  return { tunnelPort, frontPort, http2FrontPort, relayPort, relayFrontPort, ca: authority.cert };
}

async function connections(tunnelId: string, count: number): Promise<null> {
  while ((tunnels.get(tunnelId)?.connections.length ?? 0) < count) {
    await new Promise<void>((resolve) => {
      registrationsChanged = resolve;
    });
  }
  return null;
}

async function listen(server: Server): Promise<number> {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 2048 });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

serveOrders<EdgeOrder, EdgeAddresses | null>(async (order) => {
  switch (order.type) {
    case 'addresses':
      return addresses();
    case 'connections':
      return connections(order.tunnelId, order.count);
    case 'relays':
      await relays.waiting(order.count);
      return null;
    default:
      return unreachable(order);
  }
});
