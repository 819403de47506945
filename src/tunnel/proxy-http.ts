import type { Clock, Timer } from '../time/clock.ts';
import type { EdgeStream } from './edge-session.ts';
import type { StreamHandler } from './http2/stream.ts';
import { afterReads } from './origin/after-reads.ts';
import type { CollectedBytes } from './origin/collected-bytes.ts';
import type { Exchange, OriginConnection } from './origin/exchange.ts';
import type { ResponseHead } from './origin/http1-head.ts';
import { hostOf, type RequestPlan } from './origin/http1-request.ts';
import {
  bodiesTooLarge,
  bodyTooLarge,
  type OriginFailure,
  responseHeadTooLarge,
  responseTrailersTooLarge,
  type Unprocessed,
} from './origin/origin-failure.ts';
import type { OriginGroup } from './origin/origin-group.ts';
import type { OriginPool } from './origin/origin-pool.ts';
import type { Dial } from './origin/origin-socket.ts';
import { type BodyStep, RequestBody } from './origin/request-body.ts';
import { edgeTrailers, respondFromOrigin, respondOurselves, stopRequest } from './proxy-answer.ts';
import { http2Error } from './wire/http2-errors.ts';

/** How long the first byte of a GET with an open stream is waited for (protocol page, section 8.1). */
const firstByteWaitMs = 200;

/** May be sent again when nothing shows that the origin saw it (RFC 9110, section 9.2.2). */
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * How often a request is sent again, by why it was not looked at; `stale`: its kept connection was closed. Because its
 * connection ended before anything: as often as Go's client does it. Who was cut off is among the first on the next
 * connection, and so meets an end of that kind only so often by itself.
 */
const maxRetries: Readonly<Record<Unprocessed | 'stale', number>> = {
  stale: 1,
  refused: 1,
  http1: 1,
  ended: 6,
  'cut-off': Number.POSITIVE_INFINITY,
};

/** What an exchange needs of the proxy around it. */
export interface ExchangeOwner {
  readonly clock: Clock;
  /** The exchange is over; called exactly once. `status` is 0 when the edge got no answer. */
  over(status: number, startedMs: number): void;
  originFailed(failure: OriginFailure): void;
  /** What the other side of the edge sent makes no sense; for the log. */
  peerFailed(why: string): void;
}

export interface HttpExchangeOwner extends ExchangeOwner {
  /** Of all its exchanges. */
  readonly collecting: CollectedBytes;
}

/**
 * One request of the edge and its way to an origin and back, a WebSocket included. Streams both ways; what one
 * side cannot take stops the reading on the other. Owns its dial and, while it lasts, its connection.
 */
export class HttpExchange implements StreamHandler, Exchange {
  readonly #owner: ExchangeOwner;
  readonly #stream: EdgeStream;
  readonly #plan: RequestPlan;
  readonly #origin: OriginGroup;
  readonly #startedMs: number;
  readonly #body: RequestBody;
  readonly #serverName: string;
  /** The edge has ended the request. */
  #requestEnded: boolean;
  #firstByte: Timer | null = null;
  #dial: Dial | null = null;
  #connection: OriginConnection | null = null;
  #retries = 0;
  /** Only HTTP/1.1 can carry it. */
  #http1: boolean;
  /** Status of the head that was sent, or 0. */
  #status = 0;
  #upgraded = false;
  #over = false;

  constructor(
    owner: HttpExchangeOwner,
    stream: EdgeStream,
    plan: RequestPlan,
    ended: boolean,
    origin: OriginGroup,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.#plan = plan;
    this.#origin = origin;
    this.#requestEnded = ended;
    this.#startedMs = owner.clock.monotonic();
    // An upgrade takes a connection for good, so it gets one of its own.
    this.#http1 = plan.websocket;
    const { protocol, serverName, chunkedEncoding } = origin.settings;
    // HTTP/2 has no chunks that an origin could fail to understand.
    const collecting = chunkedEncoding || protocol === 'h2c' ? null : owner.collecting;
    this.#body = new RequestBody(plan, ended, collecting);
    this.#serverName = protocol === 'https' ? (serverName ?? hostOf(plan.authority)) : '';
  }

  /** Called once, after the stream knows its handler. */
  start(): void {
    // As cloudflared does: an edge may hold the body back until this comes (RFC 9110, section 10.1.1).
    if (this.#plan.expectsContinue && !this.#body.complete) this.#stream.respond(100, [], false);
    if (this.#body.framing !== null) return this.#reachOrigin();
    if (!this.#body.awaitsFirstByte) return;
    this.#firstByte = this.#owner.clock.after(firstByteWaitMs, () => {
      if (!this.#body.awaitsFirstByte) return;
      this.#body.waitNoLonger();
      this.#reachOrigin();
    });
  }

  // From the edge.

  data(chunk: Buffer): void {
    if (this.#over) return;
    const undecided = this.#body.framing === null;
    this.#follow(this.#body.data(chunk), undecided);
  }

  end(trailers: readonly string[]): void {
    this.#requestEnded = true;
    if (this.#over) return;
    const undecided = this.#body.framing === null;
    this.#follow(this.#body.end(trailers), undecided);
    if (this.#upgraded && !this.#over) this.#endBoth();
  }

  reset(): void {
    if (this.#over) return;
    this.#letGo()?.destroy();
    this.#finish();
  }

  drain(): void {
    this.#connection?.resume();
  }

  // From the origin.

  responseHead(head: ResponseHead): void {
    if (!respondFromOrigin(this.#stream, head)) {
      this.#letGo()?.destroy();
      return this.failed(responseHeadTooLarge);
    }
    this.#status = head.status;
    this.#body.settle();
    if (head.status !== 101 || this.#connection === null) return;
    this.#upgraded = true;
    if (this.#body.attach(this.#connection)) this.#stream.resume();
    if (this.#body.complete) this.#endBoth();
  }

  responseBody(chunk: Buffer): void {
    if (!this.#stream.write(chunk)) this.#connection?.pause();
  }

  responseEnd(trailers: readonly string[]): void {
    this.#connection = null;
    const kept = edgeTrailers(trailers);
    if (!this.#stream.takes(kept)) return this.failed(responseTrailersTooLarge);
    this.#stream.end(kept);
    this.#finish();
  }

  failed(failure: OriginFailure): void {
    const connection = this.#connection;
    this.#connection = null;
    if (this.#upgraded) return this.responseEnd([]);
    if (connection !== null && this.#mayRetry(connection, failure)) {
      if (failure.unprocessed !== 'cut-off') this.#retries += 1;
      if (failure.unprocessed === 'http1') this.#http1 = true;
      this.#body.detach();
      return this.#dialOrigin(this.#origin.choose());
    }
    this.#failWith(failure.reason === 'timeout' ? 504 : 502, failure);
  }

  requestDrained(): void {
    if (this.#body.goOn()) this.#stream.resume();
  }

  #follow(step: BodyStep, wasUndecided: boolean): void {
    switch (step) {
      case 'broken':
        this.#letGo()?.destroy();
        this.#stream.reset(http2Error.protocolError);
        return this.#finish();
      case 'too-large':
        return this.#failWith(413, bodyTooLarge);
      case 'crowded':
        return this.#failWith(503, bodiesTooLarge);
      case 'pause':
        this.#stream.pause();
        break;
      case 'go-on':
        break;
    }
    if (wasUndecided && this.#body.framing !== null) this.#reachOrigin();
  }

  #reachOrigin(): void {
    this.#firstByte?.cancel();
    const pool = this.#origin.choose();
    // What is lost with a connection that its origin has just ended cannot be sent again: whether it has is looked at first.
    if (this.#http1 || this.#repeatable || !pool.rested(this.#serverName)) return this.#sendTo(pool);
    this.#dial = afterReads(() => {
      this.#dial = null;
      this.#sendTo(pool);
    });
  }

  #sendTo(pool: OriginPool): void {
    const idle = this.#http1 ? null : pool.take(this.#serverName);
    if (idle === null) this.#dialOrigin(pool);
    else this.#send(idle);
  }

  #dialOrigin(pool: OriginPool): void {
    this.#dial = this.#origin.dial(
      pool,
      { serverName: this.#serverName, http1: this.#http1, sinceMs: this.#startedMs },
      (connection) => {
        this.#dial = null;
        this.#send(connection);
      },
      (failure) => {
        this.#dial = null;
        this.failed(failure);
      },
    );
  }

  #send(connection: OriginConnection): void {
    this.#connection = connection;
    const headOnly = this.#body.empty || this.#plan.websocket;
    connection.start(this, this.#plan, this.#body.framing ?? 'none', headOnly);
    if (!headOnly && this.#body.attach(connection)) this.#stream.resume();
  }

  /**
   * The origin has not acted on the request; or its kept connection closed just when we used it: nothing came
   * back, nothing else was sent.
   */
  #mayRetry(connection: OriginConnection, failure: OriginFailure): boolean {
    const most = maxRetries[failure.unprocessed ?? 'stale'];
    if (this.#status !== 0 || this.#retries >= most) return false;
    // With prior knowledge of HTTP/2 nothing else is spoken (RFC 9113, section 3.3).
    if (failure.unprocessed === 'http1' && this.#origin.settings.protocol !== 'https') return false;
    if (failure.unprocessed !== undefined) return this.#body.whole;
    return connection.exchanges > 0 && !connection.answered && this.#repeatable;
  }

  /** May be sent again also where the origin could have acted on it. */
  get #repeatable(): boolean {
    return this.#body.empty && idempotentMethods.has(this.#plan.method);
  }

  /** `status` unless the origin's answer was begun. */
  #failWith(status: number, failure: OriginFailure): void {
    this.#owner.originFailed(failure);
    if (this.#status !== 0) this.#stream.reset(http2Error.internalError);
    else {
      this.#status = status;
      respondOurselves(this.#stream, status);
    }
    this.#finish();
  }

  /** Half-close is not preserved (page, section 9.1): the end of one direction is the end of both. */
  #endBoth(): void {
    this.#letGo()?.endSoon();
    this.#stream.end();
    this.#finish();
  }

  /** Cuts the exchange off from its origin; the connection, if there is one, is the caller's to end. */
  #letGo(): OriginConnection | null {
    const connection = this.#connection;
    this.#connection = null;
    this.#dial?.cancel();
    this.#dial = null;
    return connection;
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#firstByte?.cancel();
    this.#body.drop();
    if (!this.#requestEnded) stopRequest(this.#stream);
    this.#owner.over(this.#status, this.#startedMs);
  }
}
