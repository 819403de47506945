import type { ConnectionFilter, ConnectionTable } from './connection-table.ts';
import type { NewConnections, Wire } from './wire.ts';
import type { Link } from './wire-link.ts';

/** How registrations are refused; without a tunnel id, all of them. */
export interface PlannedRefusal {
  readonly tunnelId?: string;
  /** `EDUPCONN` and texts with `Unauthorized` mean something to connectors. */
  readonly cause: string;
  readonly shouldRetry: boolean;
  readonly retryAfterMs: number;
  /** How many registrations; all until `clear` when left out. */
  readonly count?: number;
}

/** Switches that make the edge, or the way to it, fail on purpose. All are off at the start. */
export class EdgeFaults {
  readonly #wire: Wire;
  readonly #table: ConnectionTable;
  #refusals: PlannedRefusal[] = [];
  readonly #delays = new Map<string | null, number>();

  constructor(wire: Wire, table: ConnectionTable) {
    this.#wire = wire;
    this.#table = table;
  }

  /** Resets connections (TCP RST). Without a filter also those that have not registered. Says how many. */
  cut(filter?: ConnectionFilter): number {
    return this.#each(filter, (link) => link.cut());
  }

  /** Half-open: nothing passes in either direction, neither end is told. Says how many connections. */
  silence(filter?: ConnectionFilter): number {
    return this.#each(filter, (link) => link.silence());
  }

  /** Ends the silence of all. */
  restore(): void {
    for (const link of [...this.#wire.links]) link.restore();
  }

  /** GOAWAY, and the connection is closed once its running streams have ended. Says how many. */
  goaway(filter?: ConnectionFilter): number {
    const meant = this.#table.find(filter);
    for (const connection of meant) connection.goaway();
    return meant.length;
  }

  /** Holds every chunk back, in each direction, on connections there are and will be. 0 ends it. */
  delay(delayMs: number, tunnelId: string | null = null): void {
    this.#delays.set(tunnelId, delayMs);
    for (const connection of this.#table.find(tunnelId === null ? {} : { tunnelId })) {
      this.applyDelay(connection.link, connection.registration?.tunnelId ?? '');
    }
  }

  /** For a connection that has just registered. */
  applyDelay(link: Link, tunnelId: string): void {
    link.delay(this.#delays.get(tunnelId) ?? this.#delays.get(null) ?? 0);
  }

  /** Refuses registrations from now on. */
  refuse(refusal: PlannedRefusal): void {
    this.#refusals.push(refusal);
  }

  /** The refusal planned for this registration, if any; counts it off. */
  refusalFor(tunnelId: string): PlannedRefusal | null {
    const planned = this.#refusals.find((entry) => (entry.tunnelId ?? tunnelId) === tunnelId);
    if (planned?.count !== undefined) {
      const left = planned.count - 1;
      this.#refusals = this.#refusals.flatMap((entry) =>
        entry !== planned ? [entry] : left > 0 ? [{ ...entry, count: left }] : [],
      );
    }
    return planned ?? null;
  }

  get newConnections(): NewConnections {
    return this.#wire.newConnections;
  }

  set newConnections(what: NewConnections) {
    this.#wire.newConnections = what;
  }

  /** Turns everything off. Connections that were silenced go on, or learn that the other end has gone. */
  clear(): void {
    this.newConnections = 'accept';
    this.#refusals = [];
    this.#delays.clear();
    this.delay(0);
    this.restore();
  }

  #each(filter: ConnectionFilter | undefined, act: (link: Link) => void): number {
    const links =
      filter === undefined || Object.keys(filter).length === 0
        ? [...this.#wire.links]
        : this.#table.find(filter).map((connection) => connection.link);
    for (const link of links) act(link);
    return links.length;
  }
}
