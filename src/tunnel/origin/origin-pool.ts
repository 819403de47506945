import type { Socket } from 'node:net';
import type { Origin, OriginAddress } from '../../domain/routes.ts';
import type { Clock, Timer } from '../../time/clock.ts';
import type { Caller, OriginConnection } from './exchange.ts';
import { type ConnectionOwner, Http1Connection } from './http1-connection.ts';
import { Http2Sessions } from './http2-sessions.ts';
import type { OriginFailure } from './origin-failure.ts';
import { type Alpn, type Dial, dialOrigin } from './origin-socket.ts';
import { endingLimitMs, TcpConnection } from './tcp-connection.ts';

/** After a failed dial, or a session that fell silent, an address is only chosen when no other is left, for this long. */
const avoidAfterFailureMs = 5_000;
/** A connection is let go this long before the origin does (`Keep-Alive: timeout=`), so that both do not cross. */
const keepAliveMarginMs = 1_000;
/** Under load none idles for so long; before, no origin ends one that it means to keep. */
const restedAfterMs = 10;

const http1Only: Alpn = ['http/1.1'];
/** h2c has no handshake in which anything could be chosen: there it is prior knowledge (RFC 9113, section 3.3). */
const eitherHttp: Alpn = ['h2', 'http/1.1'];

/**
 * The connections to one address of one origin. Owns them, the dials on their way and one timer. Idle ones are
 * used last in, first out, so that what is not needed grows old and is closed.
 */
export class OriginPool implements ConnectionOwner {
  readonly address: OriginAddress;
  /** Exchanges and dials under way: what the choice between addresses goes by. */
  outstanding = 0;

  readonly #origin: Origin;
  readonly #clock: Clock;
  /** Null: the origin is not asked for HTTP/2. */
  readonly #sessions: Http2Sessions | null;
  readonly #connections = new Set<Http1Connection>();
  readonly #streams = new Set<TcpConnection>();
  readonly #dials = new Map<Dial, (failure: OriginFailure) => void>();
  readonly #idle: Http1Connection[] = [];
  #timer: Timer | null = null;
  #sweepAtMs = Number.POSITIVE_INFINITY;
  #avoidUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  #destroyedBy: OriginFailure | null = null;

  constructor(origin: Origin, address: OriginAddress, clock: Clock) {
    this.#origin = origin;
    this.address = address;
    this.#clock = clock;
    const { protocol, http2 } = origin.settings;
    this.#sessions =
      protocol === 'h2c' || (protocol === 'https' && http2)
        ? new Http2Sessions(origin.settings, clock, {
            open: (serverName, connected, failed) => this.#open(serverName, eitherHttp, connected, failed),
            adoptHttp1: (socket, serverName) => this.#adoptHttp1(socket, serverName),
            fellSilent: () => this.#avoid(),
            streamOver: () => {
              this.outstanding -= 1;
            },
          })
        : null;
  }

  get avoided(): boolean {
    return this.#avoidUntilMs > this.#clock.monotonic();
  }

  /** What is open, with a certificate that was good for `serverName`, or null. It comes back by itself. */
  take(serverName: string): OriginConnection | null {
    const stream = this.#sessions === null ? null : this.#sessions.take(serverName);
    if (stream !== null) {
      this.outstanding += 1;
      return stream;
    }
    const at = this.#newestIdle(serverName);
    if (at < 0) return null;
    const connection = this.#idle[at]!;
    this.#idle.splice(at, 1);
    connection.expiresAtMs = Number.POSITIVE_INFINITY;
    this.outstanding += 1;
    return connection;
  }

  /** The connection of HTTP/1.1 that `take` would give has idled so long that its origin may be ending it right now. */
  rested(serverName: string): boolean {
    const at = this.#newestIdle(serverName);
    return at >= 0 && this.#clock.monotonic() - this.#idle[at]!.freeSinceMs >= restedAfterMs;
  }

  /**
   * Opens a connection, or shares an HTTP/2 session that is being opened; one callback comes, later. Works on a closed
   * pool, too: a running request needs it. `patient`: there is no other address to go to, should that fail.
   */
  dial(
    caller: Caller,
    patient: boolean,
    connected: (connection: OriginConnection) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial {
    const { serverName, http1 } = caller;
    return this.#counted(connected, failed, (give, miss) =>
      this.#sessions === null || http1
        ? this.#open(serverName, http1Only, (socket) => give(this.#adoptHttp1(socket, serverName)), miss)
        : this.#sessions.dial(caller, patient, give, miss),
    );
  }

  /** Opens a connection for bytes that are no HTTP. */
  dialTcp(connected: (connection: TcpConnection) => void, failed: (failure: OriginFailure) => void): Dial {
    const adopt = (socket: Socket): TcpConnection => {
      const connection = new TcpConnection(socket, this.#clock, () => {
        this.#streams.delete(connection);
        this.outstanding -= 1;
      });
      this.#streams.add(connection);
      return connection;
    };
    return this.#counted(connected, failed, (give, miss) =>
      this.#open('', http1Only, (socket) => give(adopt(socket)), miss),
    );
  }

  /** Idle connections end now, busy ones when they come back. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#sessions?.close();
    for (const connection of this.#idle.slice()) connection.destroy();
  }

  /** Nothing is open or on its way. */
  get empty(): boolean {
    return (
      this.#connections.size + this.#streams.size + this.#dials.size === 0 && (this.#sessions?.empty ?? true)
    );
  }

  /** Everything ends now; whoever dials, waits or reads hears `failure`. Idempotent. */
  destroy(failure: OriginFailure): void {
    this.#destroyedBy = failure;
    for (const [dial, failed] of [...this.#dials]) {
      dial.cancel();
      failed(failure);
    }
    this.#sessions?.destroy(failure);
    for (const connection of [...this.#connections]) connection.lose(failure);
    for (const connection of [...this.#streams]) connection.lose(failure);
  }

  free(connection: Http1Connection): void {
    this.outstanding -= 1;
    const lifeMs = this.#idleLifeMs(connection.keepAliveSeconds);
    connection.freeSinceMs = this.#clock.monotonic();
    connection.expiresAtMs = connection.freeSinceMs + lifeMs;
    this.#idle.push(connection);
    if (this.#closed || lifeMs <= 0) connection.destroy();
    // The oldest goes: it is the one least likely to be used again.
    else if (this.#idle.length > this.#origin.settings.keepAliveConnections) this.#idle[0]?.destroy();
    else this.#sweepBy(connection.expiresAtMs);
  }

  ending(connection: Http1Connection): void {
    connection.expiresAtMs = this.#clock.monotonic() + endingLimitMs;
    this.#sweepBy(connection.expiresAtMs);
  }

  gone(connection: Http1Connection): void {
    this.#connections.delete(connection);
    const idle = this.#idle.indexOf(connection);
    if (idle >= 0) this.#idle.splice(idle, 1);
    else this.outstanding -= 1;
    if (this.#connections.size > 0) return;
    this.#timer?.cancel();
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
  }

  #newestIdle(serverName: string): number {
    let at = this.#idle.length - 1;
    while (at >= 0 && this.#idle[at]!.serverName !== serverName) at -= 1;
    return at;
  }

  /** A dial is outstanding until it fails or is cancelled; what it gives is outstanding from there on. */
  #counted<C>(
    connected: (connection: C) => void,
    failed: (failure: OriginFailure) => void,
    open: (connected: (connection: C) => void, failed: (failure: OriginFailure) => void) => Dial,
  ): Dial {
    let pending = true;
    const settle = (): void => {
      pending = false;
      this.outstanding -= 1;
    };
    this.outstanding += 1;
    const dial = open(
      (connection) => {
        pending = false;
        connected(connection);
      },
      (failure) => {
        settle();
        failed(failure);
      },
    );
    return {
      cancel() {
        if (!pending) return;
        settle();
        dial.cancel();
      },
    };
  }

  #adoptHttp1(socket: Socket, serverName: string): Http1Connection {
    const connection = new Http1Connection(socket, serverName, this.#clock, this);
    this.#connections.add(connection);
    return connection;
  }

  #open(
    serverName: string,
    alpn: Alpn,
    connected: (socket: Socket) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial {
    if (this.#destroyedBy !== null) return failLater(this.#destroyedBy, failed);
    const socketDial = dialOrigin(
      this.#origin,
      this.address,
      serverName,
      alpn,
      this.#clock,
      (socket) => {
        this.#dials.delete(dial);
        this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
        connected(socket);
      },
      (failure) => {
        this.#dials.delete(dial);
        this.#avoid();
        failed(failure);
      },
    );
    const dial: Dial = {
      cancel: () => {
        if (this.#dials.delete(dial)) socketDial.cancel();
      },
    };
    this.#dials.set(dial, failed);
    return dial;
  }

  #avoid(): void {
    this.#avoidUntilMs = this.#clock.monotonic() + avoidAfterFailureMs;
  }

  /** Milliseconds that an idle connection is kept: ours, or the origin's if that is shorter. */
  #idleLifeMs(keepAliveSeconds: number): number {
    const ownMs = this.#origin.settings.keepAliveTimeoutMs;
    return keepAliveSeconds < 0 ? ownMs : Math.min(ownMs, keepAliveSeconds * 1_000 - keepAliveMarginMs);
  }

  /** One timer, for the connection that is the next to expire. */
  #sweepBy(atMs: number): void {
    if (atMs >= this.#sweepAtMs) return;
    this.#timer?.cancel();
    this.#sweepAtMs = atMs;
    this.#timer = this.#clock.after(atMs - this.#clock.monotonic(), () => this.#sweep());
  }

  /** Ends what has expired, and sleeps until the next will. */
  #sweep(): void {
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.monotonic();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const connection of [...this.#connections]) {
      if (connection.expiresAtMs <= nowMs) connection.destroy();
      else nextMs = Math.min(nextMs, connection.expiresAtMs);
    }
    this.#sweepBy(nextMs);
  }
}

function failLater(failure: OriginFailure, failed: (failure: OriginFailure) => void): Dial {
  let live = true;
  process.nextTick(() => {
    if (live) failed(failure);
  });
  return {
    cancel: () => {
      live = false;
    },
  };
}
