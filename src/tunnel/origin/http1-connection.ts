import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';
import { HighWater } from '../high-water.ts';
import { Output, outputHighWaterBytes } from '../output.ts';
import { onChunk } from '../shared-reads.ts';
import type { Exchange, OriginConnection } from './exchange.ts';
import { hearFailedWrites } from './failed-writes.ts';
import type { ResponseHead } from './http1-head.ts';
import { Http1Parser, type ResponseSink } from './http1-parser.ts';
import { type BodyFraming, type RequestPlan, requestHeadText, trailerText } from './http1-request.ts';
import { closedEarly, failureOf, type OriginFailure } from './origin-failure.ts';

/**
 * How long an origin that has answered may still take the rest of an upload: some answer first and read on, and Go's
 * transport, so cloudflared, waits this long, too.
 */
export const answeredUploadMs = 50;

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
 * ends it, when it breaks the protocol, or when a response came to its end too long before the request did.
 */
export class Http1Connection implements OriginConnection, ResponseSink {
  readonly serverName: string;
  /** `clock.monotonic()` at which the pool ends it: finite while it is idle or ending, set by the pool. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** `clock.monotonic()` at which it last became idle, set by the pool. */
  freeSinceMs = 0;
  exchanges = 0;
  answered = false;
  /** Of the last response: see `ResponseHead`. */
  keepAliveSeconds = -1;

  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #owner: ConnectionOwner;
  readonly #parser = new Http1Parser(this);
  readonly #output: Output;
  #exchange: Exchange | null = null;
  /** `flushes` of the output when the request was put there: nothing of it has left as long as that is the same. */
  #gatheredAt = -1;
  #requestDone = false;
  /** The body goes out in chunks. */
  #chunked = false;
  #announcedTrailers: readonly string[] = [];
  /** The response is whole and the request is not yet: until when that may go on. */
  #grace: Timer | null = null;
  /** Of the response that is whole. */
  #trailers: readonly string[] = [];
  #paused = false;
  /** It carries the bytes of another protocol, to its end. */
  #upgraded = false;
  #destroyed = false;
  /** Why the origin takes no more of the request, once it does not: its answer is still read. */
  #deaf: OriginFailure | null = null;

  constructor(socket: Socket, serverName: string, clock: Clock, owner: ConnectionOwner) {
    this.#socket = socket;
    this.#clock = clock;
    this.#owner = owner;
    this.serverName = serverName;
    this.#output = new Output(socket, new HighWater(outputHighWaterBytes), () =>
      this.#exchange?.requestDrained(),
    );
    hearFailedWrites(socket, (error) => this.#refused(failureOf(error)));
    onChunk(socket, (chunk) => this.#read(chunk));
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.lose(failureOf(error)));
    socket.on('close', () => this.lose(closedEarly));
  }

  start(exchange: Exchange, plan: RequestPlan, framing: BodyFraming, last: boolean): void {
    this.#exchange = exchange;
    this.#requestDone = last;
    this.#chunked = framing === 'chunked';
    this.#announcedTrailers = plan.announcedTrailers;
    this.answered = false;
    this.#parser.start(plan.method, plan.websocket);
    const head = requestHeadText(plan, framing);
    // Without a body it can mostly be sent twice. Others leave at the end of the turn: what is then known of the end of
    // a kept connection costs no request.
    const atOnce = framing === 'none' && this.#output.unsentBytes === 0;
    this.#gatheredAt = atOnce ? -1 : this.#output.flushes;
    if (atOnce) this.#socket.write(head, 'latin1');
    else this.#output.latin1(head);
  }

  write(chunk: Buffer): boolean {
    if (this.#chunked) this.#output.latin1(`${chunk.length.toString(16)}\r\n`);
    this.#output.append(chunk);
    if (this.#chunked) this.#output.latin1('\r\n');
    return !this.#output.full;
  }

  requestDone(trailers: readonly string[]): void {
    this.#requestDone = true;
    if (this.#chunked) this.#output.latin1(`0\r\n${trailerText(this.#announcedTrailers, trailers)}`);
    if (this.#grace !== null) this.#exchangeOver();
  }

  /** Of one that carries no other exchange. What the origin still says is read and dropped: it may read the rest only after that. */
  endSoon(): void {
    this.#exchange = null;
    this.resume();
    this.#owner.ending(this);
    this.#output.finish();
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

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#exchange = null;
    this.#grace?.cancel();
    this.#parser.stop();
    this.#output.close();
    this.#socket.destroy();
    this.#owner.gone(this);
  }

  responseHead(head: ResponseHead): void {
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.#upgraded = head.status === 101;
    this.#exchange?.responseHead(head);
  }

  responseBody(chunk: Buffer): void {
    this.#exchange?.responseBody(chunk);
  }

  responseEnd(trailers: readonly string[]): void {
    this.#trailers = trailers;
    if (this.#requestDone || !this.#sound) return this.#exchangeOver();
    this.#grace = this.#clock.after(answeredUploadMs, () => this.lose(closedEarly));
  }

  /** As far as the response goes, the connection can carry another exchange. */
  get #sound(): boolean {
    return this.#parser.reusable && this.#deaf === null;
  }

  /** The response is whole, and nothing more of the request is sent. */
  #exchangeOver(): void {
    const exchange = this.#exchange;
    // Nobody can tell whether an origin that has answered reads the rest, so it gets no other request behind it.
    const late = this.#grace !== null;
    this.#exchange = null;
    this.#grace?.cancel();
    this.#grace = null;
    if (late || this.#upgraded) this.endSoon();
    else if (this.#requestDone && this.#sound) {
      this.exchanges += 1;
      if (this.#paused) this.resume();
      this.#owner.free(this);
    } else this.destroy();
    exchange?.responseEnd(this.#trailers);
  }

  #read(chunk: Buffer): void {
    this.answered = true;
    const failure = this.#parser.feed(chunk);
    if (failure !== null) this.lose({ reason: 'protocol', message: failure.message });
  }

  #ended(): void {
    // Behind a failed write the end may be that of a connection that was cut: it completes no answer.
    if (this.#deaf !== null) return this.lose(this.#deaf);
    if (this.#grace !== null) return this.lose(closedEarly);
    // While it ends, the origin may end its own side and still take the rest.
    if (this.#exchange === null && this.#upgraded) return;
    if (this.#exchange !== null && this.#parser.finish() === null) return;
    this.lose(closedEarly);
  }

  #refused(failure: OriginFailure): void {
    if (this.#exchange === null || this.#grace !== null) return this.lose(failure);
    this.#deaf ??= failure;
  }

  /** Ends it now; its exchange hears why, unless it has its whole response. Idempotent. */
  lose(failure: OriginFailure): void {
    const exchange = this.#exchange;
    const whole = this.#grace !== null;
    const unsent = this.exchanges > 0 && !this.answered && this.#gatheredAt === this.#output.flushes;
    this.destroy();
    if (whole) exchange?.responseEnd(this.#trailers);
    else exchange?.failed(unsent ? { ...failure, unprocessed: 'ended' } : failure);
  }
}
