import type { Socket } from 'node:net';
import type { OriginSettings } from '../../domain/ingress.ts';
import type { Clock, Timer } from '../../time/clock.ts';
import type { Caller, OriginConnection } from './exchange.ts';
import { Http2OriginSession } from './http2-origin-session.ts';
import type { OriginFailure } from './origin-failure.ts';
import type { Dial } from './origin-socket.ts';

/** Sessions to one address. When all are full, requests wait in the least busy one. */
const maxSessions = 64;

export interface SessionsHost {
  /** Opens a socket on which HTTP/2 may be spoken; one callback comes, later. */
  open(
    serverName: string,
    connected: (socket: Socket) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial;
  /** The origin has chosen HTTP/1.1: the socket as a connection of that kind. */
  adoptHttp1(socket: Socket, serverName: string): OriginConnection;
  /** A stream that `take` or `dial` gave is over. */
  streamOver(): void;
}

interface Waiter {
  readonly caller: Caller;
  readonly connected: (connection: OriginConnection) => void;
  readonly failed: (failure: OriginFailure) => void;
}

/** One session on its way, and who waits for it. */
interface Opening {
  readonly serverName: string;
  readonly waiters: Set<Waiter>;
  cancel: () => void;
}

/**
 * The HTTP/2 sessions to one address of one origin. Requests that come while one is opened wait for it together,
 * until the origin is known to choose HTTP/1.1: then each opens a connection for itself. Owns sessions and dials.
 */
export class Http2Sessions {
  readonly #settings: OriginSettings;
  readonly #clock: Clock;
  readonly #host: SessionsHost;
  /** All that are not gone. */
  readonly #all = new Set<Http2OriginSession>();
  #usable: Http2OriginSession[] = [];
  readonly #openings = new Set<Opening>();
  /** What the origin chose last, by ALPN. */
  #choosesHttp1 = false;
  #closed = false;

  constructor(settings: OriginSettings, clock: Clock, host: SessionsHost) {
    this.#settings = settings;
    this.#clock = clock;
    this.#host = host;
  }

  get empty(): boolean {
    return this.#all.size === 0 && this.#openings.size === 0;
  }

  /** A stream of a session that is open, or null. */
  take(serverName: string): OriginConnection | null {
    let leastBusy: Http2OriginSession | null = null;
    for (const session of this.#usable) {
      if (session.serverName !== serverName) continue;
      if (session.hasRoom) return session.open();
      if (leastBusy === null || session.streams < leastBusy.streams) leastBusy = session;
    }
    return this.#all.size < maxSessions ? null : (leastBusy?.open() ?? null);
  }

  /** A stream of a session that is being opened; or an HTTP/1.1 connection, if the origin chooses that. */
  dial(caller: Caller, connected: Waiter['connected'], failed: Waiter['failed']): Dial {
    const { serverName } = caller;
    const waiter: Waiter = { caller, connected, failed };
    const opening = this.#openingFor(serverName) ?? this.#open(serverName);
    opening.waiters.add(waiter);
    return { cancel: () => this.#giveUp(waiter) };
  }

  /** Idle sessions end now, others after their streams. */
  close(): void {
    this.#closed = true;
    for (const session of [...this.#all]) session.close();
  }

  /** Everything ends now; whoever waits or reads hears `failure`. */
  destroy(failure: OriginFailure): void {
    this.#closed = true;
    for (const opening of [...this.#openings]) this.#fail(opening, failure);
    for (const session of [...this.#all]) session.destroy(failure);
  }

  #streamOver(session: Http2OriginSession): void {
    this.#host.streamOver();
    if (session.streams > 0) return;
    const idle = this.#usable.filter(({ streams }) => streams === 0).length;
    if (this.#closed || idle > this.#settings.keepAliveConnections) session.close();
  }

  #openingFor(serverName: string): Opening | null {
    if (this.#choosesHttp1) return null;
    for (const opening of this.#openings) if (opening.serverName === serverName) return opening;
    return null;
  }

  #open(serverName: string): Opening {
    const opening: Opening = { serverName, waiters: new Set(), cancel: () => {} };
    this.#openings.add(opening);
    const dial = this.#host.open(
      serverName,
      (socket) => this.#connected(opening, socket),
      (failure) => this.#fail(opening, failure),
    );
    opening.cancel = () => dial.cancel();
    return opening;
  }

  #connected(opening: Opening, socket: Socket): void {
    const { alpnProtocol } = socket as { alpnProtocol?: string | false | null };
    const https = this.#settings.protocol === 'https';
    this.#choosesHttp1 = https && alpnProtocol !== 'h2';
    if (this.#choosesHttp1) return this.#fallBack(opening, socket);

    const { connectTimeoutMs, keepAliveTimeoutMs } = this.#settings;
    const { serverName } = opening;
    const scheme = https ? 'https' : 'http';
    const late: OriginFailure = {
      reason: 'timeout',
      message: `no HTTP/2 SETTINGS within ${connectTimeoutMs} ms: does the origin speak HTTP/2?`,
    };
    const timer: Timer = this.#clock.after(connectTimeoutMs, () => session.destroy(late));
    const session = new Http2OriginSession(
      socket,
      { serverName, scheme, idleLifeMs: keepAliveTimeoutMs },
      this.#clock,
      {
        ready: () => {
          timer.cancel();
          this.#ready(opening, session);
        },
        streamOver: () => this.#streamOver(session),
        unusable: () => {
          this.#usable = this.#usable.filter((other) => other !== session);
        },
        gone: (failure) => {
          timer.cancel();
          this.#all.delete(session);
          this.#fail(opening, failure);
        },
      },
    );
    this.#all.add(session);
    opening.cancel = () => session.destroy();
  }

  /** The first who waits gets the connection; nobody else can share it, so the others open their own. */
  #fallBack(opening: Opening, socket: Socket): void {
    this.#openings.delete(opening);
    const [first, ...others] = opening.waiters;
    const connection = this.#host.adoptHttp1(socket, opening.serverName);
    if (first === undefined) connection.destroy();
    else first.connected(connection);
    for (const waiter of others) this.#open(opening.serverName).waiters.add(waiter);
  }

  #ready(opening: Opening, session: Http2OriginSession): void {
    if (!this.#openings.delete(opening)) return;
    if (!this.#closed) this.#usable.push(session);
    // Who was cut off by the end of a session comes before those who came meanwhile: it may end soon, as that one did.
    const waiters = [...opening.waiters].sort((one, other) => one.caller.sinceMs - other.caller.sinceMs);
    const last = this.#all.size >= maxSessions;
    while (waiters.length > 0 && (session.hasRoom || last)) waiters.shift()!.connected(session.open());
    if (waiters.length > 0) {
      const next = this.#open(opening.serverName);
      for (const waiter of waiters) next.waiters.add(waiter);
    }
    if (this.#closed) session.close();
  }

  #fail(opening: Opening, failure: OriginFailure): void {
    if (!this.#openings.delete(opening)) return;
    opening.cancel();
    for (const { failed } of opening.waiters) failed(failure);
  }

  #giveUp(waiter: Waiter): void {
    for (const opening of this.#openings) {
      if (!opening.waiters.delete(waiter)) continue;
      if (opening.waiters.size > 0) return;
      this.#openings.delete(opening);
      opening.cancel();
      return;
    }
  }
}
