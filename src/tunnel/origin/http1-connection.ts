import type { Socket } from 'node:net';
import type { ResponseHead } from './http1-head.ts';
import { Http1Parser, type ResponseSink } from './http1-parser.ts';
import { closedEarly, failureOf, type OriginFailure } from './origin-failure.ts';

/** One request and its response on a connection. After `responseEnd` or `failed` nothing is called any more. */
export interface Exchange extends ResponseSink {
  /** The connection is gone before the response was complete. */
  failed(failure: OriginFailure): void;
  /** After a `write` that returned false: there is room again. */
  requestDrained(): void;
}

/** What the owner of a connection (its pool) hears. */
export interface ConnectionOwner {
  /** The exchange is over and the connection can carry another; called before the exchange hears of its end. */
  free(connection: Http1Connection): void;
  /** It sends what is queued and then ends; the owner sets it a limit. */
  ending(connection: Http1Connection): void;
  /** The connection is gone; called once, before the exchange hears of it. */
  gone(connection: Http1Connection): void;
}

/**
 * One HTTP/1.1 connection to an origin, one exchange at a time. It owns its socket. Ends by itself when the origin
 * ends it, when it breaks the protocol, or when a response came to its end before the request did.
 */
export class Http1Connection implements ResponseSink {
  readonly serverName: string;
  /** `clock.monotonic()` at which the pool ends it: finite while it is idle or ending, set by the pool. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** Exchanges before this one. */
  exchanges = 0;
  /** Whether the origin has sent anything for this exchange. */
  answered = false;
  /** Of the last response: see `ResponseHead`. */
  keepAliveSeconds = -1;

  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #parser = new Http1Parser(this);
  #exchange: Exchange | null = null;
  #requestDone = false;
  #corked = false;
  #paused = false;
  #destroyed = false;

  constructor(socket: Socket, serverName: string, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.serverName = serverName;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#exchange?.requestDrained());
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.lose(failureOf(error)));
    socket.on('close', () => this.lose(closedEarly));
  }

  /** Sends a request's head; `last`: no body follows. `upgrade`: a 101 is a good answer. */
  start(exchange: Exchange, method: string, head: string, last: boolean, upgrade: boolean): void {
    this.#exchange = exchange;
    this.#requestDone = last;
    this.answered = false;
    this.#parser.start(method, upgrade);
    if (!last) this.#cork();
    this.#socket.write(head, 'latin1');
  }

  /** Queues bytes of the request's body, framed. False: wait for `requestDrained`. */
  write(bytes: Uint8Array | string): boolean {
    this.#cork();
    return typeof bytes === 'string' ? this.#socket.write(bytes, 'latin1') : this.#socket.write(bytes);
  }

  /** The request is complete. */
  requestDone(): void {
    this.#requestDone = true;
  }

  /** Ends it once what was queued is sent: the end of an upgraded connection. Its exchange hears nothing more. */
  end(): void {
    this.#exchange = null;
    this.#parser.stop();
    this.#owner.ending(this);
    this.#uncork();
    this.#socket.destroySoon();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  /** Ends it now; its exchange hears nothing more. Idempotent. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#exchange = null;
    this.#parser.stop();
    this.#socket.destroy();
    this.#owner.gone(this);
  }

  responseHead(head: ResponseHead): void {
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.#exchange?.responseHead(head);
  }

  responseBody(chunk: Buffer): void {
    this.#exchange?.responseBody(chunk);
  }

  responseEnd(trailers: readonly string[]): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (this.#parser.reusable && this.#requestDone) {
      this.exchanges += 1;
      if (this.#paused) this.resume();
      this.#owner.free(this);
    } else this.destroy();
    exchange?.responseEnd(trailers);
  }

  #read(chunk: Buffer): void {
    this.answered = true;
    const failure = this.#parser.feed(chunk);
    if (failure !== null) this.lose({ reason: 'protocol', message: failure.message });
  }

  #ended(): void {
    if (this.#exchange !== null && this.#parser.finish() === null) return;
    this.lose(closedEarly);
  }

  /** Ends it now; its exchange hears why. Idempotent. */
  lose(failure: OriginFailure): void {
    const exchange = this.#exchange;
    this.destroy();
    exchange?.failed(failure);
  }

  /**
   * What is written until the end of this turn of the event loop goes out in one system call. Not until the next
   * tick: a read of TLS gives its 16 KiB pieces in ticks of their own.
   */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    setImmediate(this.#uncorkNow);
  }

  readonly #uncorkNow = (): void => this.#uncork();

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }
}
