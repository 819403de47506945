import type { ResponseSink } from './http1-parser.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';
import type { OriginFailure } from './origin-failure.ts';

/** One request and its response. After `responseEnd` or `failed` nothing is called any more. */
export interface Exchange extends ResponseSink {
  /** The connection, or the HTTP/2 stream, is gone before the response was complete. */
  failed(failure: OriginFailure): void;
  /** After a `write` that returned false: there is room again. */
  requestDrained(): void;
}

/**
 * What carries an exchange: an HTTP/1.1 connection, or a stream of an HTTP/2 one. It belongs to whom it was given
 * by the pool until the exchange ends, or `endSoon` or `destroy` is called.
 */
export interface OriginConnection {
  /** Exchanges before this one: when there are some, the origin may have closed it just now. */
  readonly exchanges: number;
  /** Whether the origin has said anything for this exchange. */
  readonly answered: boolean;
  /** Sends the head; `last`: no body follows. Callbacks come later, never from within. */
  start(exchange: Exchange, plan: RequestPlan, framing: BodyFraming, last: boolean): void;
  /** Queues a piece of the body. False: wait for `requestDrained`. */
  write(chunk: Buffer): boolean;
  /** The body is complete. */
  requestDone(trailers: readonly string[]): void;
  /** Stops reading the response. */
  pause(): void;
  resume(): void;
  /** Ends it once what was queued is sent: the end of an upgraded connection. Its exchange hears nothing more. */
  endSoon(): void;
  /** Ends it now; its exchange hears nothing more. Idempotent. */
  destroy(): void;
}

/** Who needs a new connection, and what for. */
export interface Caller {
  /** SNI, and what the certificate must be good for. */
  readonly serverName: string;
  /** A connection of HTTP/1.1, whatever else the origin speaks. */
  readonly http1: boolean;
  /** When its request came, of the monotonic clock: who came first is served first. */
  readonly sinceMs: number;
}
