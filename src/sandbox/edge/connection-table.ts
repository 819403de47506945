import type { ConnectorConnection } from './connector-connection.ts';

/** Which connections are meant; what is left out matches all. */
export interface ConnectionFilter {
  readonly tunnelId?: string;
  readonly connIndex?: number;
  readonly connectionId?: string;
}

/** The registered connections, by tunnel. Holds them, does not own them. */
export class ConnectionTable {
  readonly #byTunnel = new Map<string, ConnectorConnection[]>();

  add(connection: ConnectorConnection, tunnelId: string): void {
    this.#byTunnel.set(tunnelId, [...(this.#byTunnel.get(tunnelId) ?? []), connection]);
  }

  remove(connection: ConnectorConnection, tunnelId: string): void {
    const rest = (this.#byTunnel.get(tunnelId) ?? []).filter((other) => other !== connection);
    if (rest.length > 0) this.#byTunnel.set(tunnelId, rest);
    else this.#byTunnel.delete(tunnelId);
  }

  /** The serving connection with the fewest open streams, and of several the one that has waited longest. */
  pick(tunnelId: string, except: ReadonlySet<ConnectorConnection>): ConnectorConnection | null {
    const all = this.#byTunnel.get(tunnelId) ?? [];
    let best: ConnectorConnection | null = null;
    for (const connection of all) {
      if (connection.state !== 'serving' || except.has(connection)) continue;
      if (best === null || connection.openStreams < best.openStreams) best = connection;
    }
    if (best !== null && all.length > 1) {
      this.#byTunnel.set(tunnelId, [...all.filter((other) => other !== best), best]);
    }
    return best;
  }

  find(filter: ConnectionFilter = {}): ConnectorConnection[] {
    const { tunnelId } = filter;
    const meant =
      tunnelId === undefined ? [...this.#byTunnel.values()].flat() : (this.#byTunnel.get(tunnelId) ?? []);
    return meant.filter(
      ({ id, registration }) =>
        (filter.connIndex === undefined || registration?.connIndex === filter.connIndex) &&
        (filter.connectionId === undefined || id === filter.connectionId),
    );
  }
}
