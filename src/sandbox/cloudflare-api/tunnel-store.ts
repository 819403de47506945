import { randomBytes, randomUUID } from 'node:crypto';

/** The tunnels of the imitated accounts and the connections that an edge reports for them. In memory. */
export class TunnelStore {
  readonly #tunnels = new Map<string, StoredTunnel>();
  readonly #revocations = new Set<RevocationListener>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  create(request: {
    accountId: string;
    name: string;
    secret: Buffer | null;
    configSrc: string;
  }): StoredTunnel {
    const tunnel: StoredTunnel = {
      id: randomUUID(),
      accountId: request.accountId,
      name: request.name,
      secret: request.secret ?? randomBytes(32),
      configSrc: request.configSrc,
      createdAtMs: this.#now(),
      deletedAtMs: null,
      connections: new Map(),
    };
    this.#tunnels.set(tunnel.id, tunnel);
    return tunnel;
  }

  /** Deleted tunnels are found too, as at Cloudflare. */
  get(accountId: string, id: string): StoredTunnel | undefined {
    const tunnel = this.#tunnels.get(id.toLowerCase());
    return tunnel?.accountId === accountId ? tunnel : undefined;
  }

  /** In the order of creation, deleted ones included. */
  list(accountId: string): StoredTunnel[] {
    return [...this.#tunnels.values()].filter((tunnel) => tunnel.accountId === accountId);
  }

  live(accountId: string): StoredTunnel[] {
    return this.list(accountId).filter((tunnel) => tunnel.deletedAtMs === null);
  }

  delete(tunnel: StoredTunnel): void {
    this.cleanup(tunnel, null);
    tunnel.deletedAtMs = this.#now();
    const deleted = [...this.#tunnels.values()].filter((other) => other.deletedAtMs !== null);
    if (deleted.length > maxDeletedTunnels) this.#tunnels.delete(deleted[0]!.id);
  }

  /** Forgets the connections of one connector, or of all, and tells the edge to close them. */
  cleanup(tunnel: StoredTunnel, clientId: string | null): void {
    for (const [id, connection] of tunnel.connections) {
      if (clientId === null || connection.clientId === clientId) tunnel.connections.delete(id);
    }
    for (const tell of this.#revocations) tell(tunnel.id, clientId);
  }

  /** False when there is no such tunnel (any more): the edge must close the connection. */
  connectionOpened(tunnelId: string, connection: TunnelConnection): boolean {
    const tunnel = this.#tunnels.get(tunnelId);
    if (tunnel === undefined || tunnel.deletedAtMs !== null) return false;
    if (tunnel.connections.size >= maxConnectionsPerTunnel) return false;
    tunnel.connections.set(connection.id, connection);
    return true;
  }

  connectionClosed(tunnelId: string, connectionId: string): void {
    this.#tunnels.get(tunnelId)?.connections.delete(connectionId);
  }

  /** Hears of cleanups and deletions; the answer ends the subscription. */
  onRevoked(listener: RevocationListener): () => void {
    this.#revocations.add(listener);
    return () => void this.#revocations.delete(listener);
  }
}

export interface StoredTunnel {
  readonly id: string;
  readonly accountId: string;
  name: string;
  secret: Buffer;
  readonly configSrc: string;
  readonly createdAtMs: number;
  deletedAtMs: number | null;
  readonly connections: Map<string, TunnelConnection>;
}

/** One HA connection, as the edge saw it register. */
export interface TunnelConnection {
  /** UUID that the edge gave it. */
  readonly id: string;
  /** The connector's id, the same for all its connections. */
  readonly clientId: string;
  readonly coloName: string;
  readonly originIp: string;
  readonly openedAtMs: number;
  readonly version: string;
  readonly arch: string;
  readonly features: readonly string[];
}

/** `clientId` null: every connector of the tunnel. */
export type RevocationListener = (tunnelId: string, clientId: string | null) => void;

/** Deleted tunnels that are remembered, oldest forgotten first. */
const maxDeletedTunnels = 5_000;

/** 25 connectors of 4 connections (Cloudflare's limit of connectors a tunnel). */
const maxConnectionsPerTunnel = 100;
