import type { Origin, OriginAddress } from '../../domain/routes.ts';
import type { Clock, Timer } from '../../time/clock.ts';
import { type ConnectionOwner, Http1Connection } from './http1-connection.ts';
import type { OriginFailure } from './origin-failure.ts';
import { type Dial, dialOrigin } from './origin-socket.ts';

/** After a failed dial an address is only chosen when no other is left, for this long. */
const avoidAfterFailureMs = 5_000;
/** An upgraded connection whose stream has ended gets this long to take what is still queued for it. */
const endingLimitMs = 10_000;
/** A connection is let go this long before the origin does (`Keep-Alive: timeout=`), so that both do not cross. */
const keepAliveMarginMs = 1_000;

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
  readonly #connections = new Set<Http1Connection>();
  readonly #dials = new Map<Dial, (failure: OriginFailure) => void>();
  readonly #idle: Http1Connection[] = [];
  #timer: Timer | null = null;
  #avoidUntilMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  #destroyedBy: OriginFailure | null = null;

  constructor(origin: Origin, address: OriginAddress, clock: Clock) {
    this.#origin = origin;
    this.address = address;
    this.#clock = clock;
  }

  get avoided(): boolean {
    return this.#avoidUntilMs > this.#clock.monotonic();
  }

  /** An idle connection whose certificate was good for `serverName`, or null. It comes back by itself. */
  take(serverName: string): Http1Connection | null {
    for (let i = this.#idle.length - 1; i >= 0; i -= 1) {
      const connection = this.#idle[i]!;
      if (connection.serverName !== serverName) continue;
      this.#idle.splice(i, 1);
      connection.expiresAtMs = Number.POSITIVE_INFINITY;
      this.outstanding += 1;
      return connection;
    }
    return null;
  }

  /** Opens a connection; one callback comes, later. Works on a closed pool, too: a running request needs it. */
  dial(
    serverName: string,
    connected: (connection: Http1Connection) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial {
    if (this.#destroyedBy !== null) return failLater(this.#destroyedBy, failed);
    this.outstanding += 1;
    const socketDial = dialOrigin(
      this.#origin,
      this.address,
      serverName,
      this.#clock,
      (socket) => {
        this.#dials.delete(dial);
        this.#avoidUntilMs = Number.NEGATIVE_INFINITY;
        const connection = new Http1Connection(socket, serverName, this);
        this.#connections.add(connection);
        connected(connection);
      },
      (failure) => {
        this.#dials.delete(dial);
        this.outstanding -= 1;
        this.#avoidUntilMs = this.#clock.monotonic() + avoidAfterFailureMs;
        failed(failure);
      },
    );
    const dial: Dial = {
      cancel: () => {
        if (!this.#dials.delete(dial)) return;
        this.outstanding -= 1;
        socketDial.cancel();
      },
    };
    this.#dials.set(dial, failed);
    return dial;
  }

  /** Idle connections end now, busy ones when they come back. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.slice()) connection.destroy();
  }

  /** Nothing is open or on its way. */
  get empty(): boolean {
    return this.#connections.size === 0 && this.#dials.size === 0;
  }

  /** Everything ends now; whoever dials, waits or reads hears `failure`. Idempotent. */
  destroy(failure: OriginFailure): void {
    this.#closed = true;
    this.#destroyedBy = failure;
    for (const [dial, failed] of [...this.#dials]) {
      dial.cancel();
      failed(failure);
    }
    for (const connection of [...this.#connections]) connection.lose(failure);
  }

  free(connection: Http1Connection): void {
    this.outstanding -= 1;
    const lifeMs = this.#idleLifeMs(connection.keepAliveSeconds);
    connection.expiresAtMs = this.#clock.monotonic() + lifeMs;
    this.#idle.push(connection);
    if (this.#closed || lifeMs <= 0) connection.destroy();
    // The oldest goes: it is the one least likely to be used again.
    else if (this.#idle.length > this.#origin.settings.keepAliveConnections) this.#idle[0]?.destroy();
    else this.#timer ??= this.#clock.after(lifeMs, () => this.#sweep());
  }

  ending(connection: Http1Connection): void {
    connection.expiresAtMs = this.#clock.monotonic() + endingLimitMs;
    this.#timer ??= this.#clock.after(endingLimitMs, () => this.#sweep());
  }

  gone(connection: Http1Connection): void {
    this.#connections.delete(connection);
    const idle = this.#idle.indexOf(connection);
    if (idle >= 0) this.#idle.splice(idle, 1);
    else this.outstanding -= 1;
    if (this.#connections.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Milliseconds that an idle connection is kept: ours, or the origin's if that is shorter. */
  #idleLifeMs(keepAliveSeconds: number): number {
    const ownMs = this.#origin.settings.keepAliveTimeoutMs;
    return keepAliveSeconds < 0 ? ownMs : Math.min(ownMs, keepAliveSeconds * 1_000 - keepAliveMarginMs);
  }

  /** Ends what has expired, and sleeps until the next will. */
  #sweep(): void {
    this.#timer = null;
    const nowMs = this.#clock.monotonic();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const connection of [...this.#connections]) {
      if (connection.expiresAtMs <= nowMs) connection.destroy();
      else nextMs = Math.min(nextMs, connection.expiresAtMs);
    }
    if (nextMs < Number.POSITIVE_INFINITY)
      this.#timer = this.#clock.after(nextMs - nowMs, () => this.#sweep());
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
