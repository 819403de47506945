import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { Registration } from '../../tunnel/wire/registration.ts';
import type { Authority } from '../certificates.ts';
import { type ConfigurationAnswer, pushConfiguration } from './configuration-push.ts';
import { ConnectionTable } from './connection-table.ts';
import { type ConnectionState, ConnectorConnection } from './connector-connection.ts';
import { EdgeFaults } from './faults.ts';
import { Front } from './front.ts';
import { register, type TunnelSecret } from './registrar.ts';
import { Wire } from './wire.ts';

export interface EdgeSettings {
  /** Where connectors dial; 0, the default, is a free one. */
  readonly port?: number;
  /** Where eyeballs come; 0, the default, is a free one. */
  readonly frontPort?: number;
  /** Issues the certificate that connectors see. */
  readonly authority: Authority;
  /** Null: there is no such tunnel in that account. Asked at every registration. */
  checkTunnel(accountTag: string, tunnelId: string): TunnelSecret | null;
  /** The tunnel of a public name, as DNS leads to it; null when the name does not exist. */
  tunnelOf(host: string): string | null;
  readonly reports?: ConnectionReports;
  /** What connectors and eyeballs are told; three letters of an airport and a number, as at Cloudflare. */
  readonly locationName?: string;
  /** EDUPCONN for a second connection of the same tunnel, connector and index. */
  readonly refuseDuplicates?: boolean;
  /** Pause between PINGs to a registered connection, 10 s when left out. */
  readonly pingIntervalMs?: number;
  /** A PING that is not answered for so long ends the connection, 5 s when left out. */
  readonly pingTimeoutMs?: number;
  /** Connections come in without a relay: a third of the open files, and the wire can be cut but not slowed or silenced. */
  readonly straight?: boolean;
  readonly clock?: Clock;
}

/** Whoever keeps the account of connections hears of them here. */
export interface ConnectionReports {
  /** False: no more connections of this tunnel; the registration is refused. */
  opened(connection: OpenedConnection): boolean;
  /** Called once for each one that `opened` has let in. */
  closed(connection: ClosedConnection): void;
}

export interface OpenedConnection {
  readonly connectionId: string;
  readonly registration: Registration;
  readonly locationName: string;
  readonly remoteAddress: string;
}

export interface ClosedConnection extends Pick<OpenedConnection, 'connectionId' | 'registration'> {
  /** Its connector has taken leave, as one that stops or moves does; else it is lost. */
  readonly hasUnregistered: boolean;
}

/** A connection as others may see it: no secret in it. */
export interface ConnectionView {
  readonly id: string;
  readonly tunnelId: string;
  readonly connIndex: number;
  readonly clientId: string;
  readonly version: string;
  readonly state: ConnectionState;
  readonly openStreams: number;
  readonly requests: number;
  /** What a locally managed connector said of itself. */
  readonly localConfiguration: string | null;
}

/** A running edge. Owned by whoever started it. */
export interface Edge {
  /** `host:port`, what `--edge` takes. */
  readonly tunnelAddress: string;
  /** What `--cacert` takes. */
  readonly caPem: string;
  readonly frontUrl: string;
  readonly faults: EdgeFaults;
  connections(): ConnectionView[];
  /** Closes the connections of a tunnel, or of one of its connectors: what a deletion or a cleanup does. */
  revoke(tunnelId: string, clientId: string | null): void;
  /** Sends a configuration to one connection of each connector of the tunnel (protocol page section 11). */
  pushConfiguration(tunnelId: string, version: number, config: unknown): Promise<ConfigurationAnswer[]>;
  /** Ends everything at once. Idempotent. */
  stop(): Promise<void>;
}

/** Names that a connector may ask for; the last one is for cloudflared's tests of the way. */
const edgeNames = ['h2.cftunnel.com', 'quic.cftunnel.com', 'probe.cftunnel.com'];

/** An edge on loopback: connectors register at one port, eyeballs come to the other. */
export async function startEdge(settings: EdgeSettings): Promise<Edge> {
  const clock = settings.clock ?? systemClock;
  const locationName = settings.locationName ?? 'sbx01';
  const table = new ConnectionTable();
  const open = new Set<ConnectorConnection>();

  // No ALPN: the connector offers none, and takes the server's role in HTTP/2.
  const tlsServer = createServer({ ...settings.authority.issue({ dnsNames: edgeNames }) });
  tlsServer.on('tlsClientError', () => {});
  const wire =
    settings.straight === true
      ? // As documented for sockets that somebody else has accepted (`Event: 'connection'` of node:tls).
        new Wire((outer) => void tlsServer.emit('connection', outer), clock)
      : new Wire(await portOf(tlsServer), clock);
  const faults = new EdgeFaults(wire, table);

  tlsServer.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    const link = wire.linkFrom(socket.remotePort);
    if (link === undefined) return void socket.destroy();
    const connection = new ConnectorConnection(socket, link, {
      clock,
      pingIntervalMs: settings.pingIntervalMs ?? 10_000,
      pingTimeoutMs: settings.pingTimeoutMs ?? 5_000,
      register: (candidate, registration) => {
        const result = register(candidate, registration, {
          table,
          faults,
          locationName,
          refuseDuplicates: settings.refuseDuplicates ?? false,
          checkTunnel: settings.checkTunnel,
          opened: () =>
            settings.reports?.opened({
              connectionId: candidate.id,
              registration,
              locationName,
              remoteAddress: link.remoteAddress,
            }) ?? true,
        });
        if (result.kind === 'registered') faults.applyDelay(link, registration.tunnelId);
        return result;
      },
      closed: (closed) => {
        open.delete(closed);
        const { id: connectionId, registration, hasUnregistered } = closed;
        if (registration === null) return;
        table.remove(closed, registration.tunnelId);
        settings.reports?.closed({ connectionId, registration, hasUnregistered });
      },
    });
    open.add(connection);
  });

  const front = new Front({ table, locationName, tunnelOf: settings.tunnelOf });
  const stop = async (): Promise<void> => {
    for (const connection of open) connection.destroy();
    await Promise.all([wire.close(), front.close(), closed(tlsServer)]);
  };
  try {
    const port = await wire.listen(settings.port ?? 0);
    const frontPort = await front.listen(settings.frontPort ?? 0);
    return {
      tunnelAddress: `127.0.0.1:${port}`,
      caPem: settings.authority.cert,
      frontUrl: `http://127.0.0.1:${frontPort}`,
      faults,
      connections: () => table.find().map(viewOf),
      revoke: (tunnelId, clientId) => {
        for (const connection of table.find({ tunnelId })) {
          if (clientId === null || connection.registration?.client.clientId === clientId)
            connection.destroy();
        }
      },
      pushConfiguration: (tunnelId, version, config) =>
        pushConfiguration(table.find({ tunnelId }), version, config),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function viewOf(connection: ConnectorConnection): ConnectionView {
  const { id, registration, state, openStreams, requests, localConfiguration } = connection;
  return {
    id,
    tunnelId: registration?.tunnelId ?? '',
    connIndex: registration?.connIndex ?? 0,
    clientId: registration?.client.clientId ?? '',
    version: registration?.client.version ?? '',
    state,
    openStreams,
    requests,
    localConfiguration,
  };
}

/** Listens on loopback, at a free port. */
async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close();
  await once(server, 'close');
}
