import type { ClientStream, ResponseHandler } from '../http2/client/stream.ts';
import { http2Error } from '../wire/http2-errors.ts';
import type { ReadResponse } from '../wire/http2-response.ts';
import type { Exchange, OriginConnection } from './exchange.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';
import { http2RequestTrailers } from './http2-request.ts';
import type { OriginFailure, Unprocessed } from './origin-failure.ts';

/** What a stream needs of its session. */
export interface StreamSession {
  /** Opens the stream in the place that it was given; what cannot be sent is a failure. */
  request(
    plan: RequestPlan,
    framing: BodyFraming,
    last: boolean,
    handler: ResponseHandler,
  ): ClientStream | OriginFailure;
  /** The place is given back without a stream. */
  leave(): void;
  /** Why the session ended, or null while it lasts. */
  readonly failure: OriginFailure | null;
  /** What GOAWAY says of the stream (RFC 9113, section 6.8), if that is that the origin did not look at it. */
  unprocessed(streamId: number): Unprocessed | null;
}

/**
 * One exchange as a stream of an HTTP/2 session to an origin. Informational responses are swallowed (protocol page,
 * section 8.2). Owns the stream: whatever ends the exchange ends it, with CANCEL where it is not complete.
 */
export class Http2OriginStream implements OriginConnection, ResponseHandler {
  readonly exchanges: number;
  answered = false;
  readonly #session: StreamSession;
  #exchange: Exchange | null = null;
  #stream: ClientStream | null = null;
  /** The head of the response is all of it. */
  #headOnly = false;
  /** The place in the session is a stream's, or given back. */
  #placeUsed = false;

  constructor(session: StreamSession, exchanges: number) {
    this.#session = session;
    this.exchanges = exchanges;
  }

  start(exchange: Exchange, plan: RequestPlan, framing: BodyFraming, last: boolean): void {
    this.#exchange = exchange;
    this.#headOnly = plan.method === 'HEAD';
    const stream = this.#session.request(plan, framing, last, this);
    if ('reason' in stream) {
      process.nextTick(() => {
        this.#leave();
        this.#lose(stream);
      });
      return;
    }
    this.#placeUsed = true;
    this.#stream = stream;
  }

  write(chunk: Buffer): boolean {
    return this.#stream === null || this.#stream.write(chunk);
  }

  requestDone(trailers: readonly string[]): void {
    const stream = this.#stream;
    if (stream === null) return;
    const sent = http2RequestTrailers(trailers);
    if (stream.takes(sent)) return stream.end(sent);
    // The session is shared: what its origin does not take could end it under all the others.
    stream.reset(http2Error.cancel);
    process.nextTick(() => this.#lose(requestTrailersTooLarge));
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  endSoon(): void {
    this.destroy();
  }

  destroy(): void {
    this.#exchange = null;
    this.#stream?.reset(http2Error.cancel);
    this.#leave();
  }

  head({ status, headers, contentLength }: ReadResponse, ended: boolean): void {
    this.answered = true;
    this.#exchange?.responseHead({ status, headers, contentLength, bodyless: ended, keepAliveSeconds: -1 });
  }

  data(chunk: Buffer): void {
    this.#exchange?.responseBody(chunk);
  }

  /**
   * The response is whole. What is left of the request is of no use to anybody, also where it only waits for a window:
   * the origin may never give it, and the stream would stay.
   */
  end(trailers: readonly string[]): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (this.#stream?.sending.done === false) this.#stream.reset(http2Error.cancel);
    exchange?.responseEnd(trailers);
  }

  reset(code: number, why?: string): void {
    // Also where a body was about to follow, which none may have: Go's client, so cloudflared, drops it.
    if (this.#headOnly && this.#stream!.headReceived) return this.end([]);
    const { failure } = this.#session;
    const goneAway = this.#session.unprocessed(this.#stream!.id);
    if (goneAway !== null) return this.#lose({ ...(failure ?? refused), unprocessed: goneAway });
    if (failure !== null) {
      return this.#lose(this.#stream!.unsent ? { ...failure, unprocessed: 'ended' } : failure);
    }
    // A reset is an answer: the origin has seen the request.
    this.answered = true;
    this.#lose(resetFailure(code, why));
  }

  drain(): void {
    this.#exchange?.requestDrained();
  }

  #lose(failure: OriginFailure): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.failed(failure);
  }

  #leave(): void {
    if (this.#placeUsed) return;
    this.#placeUsed = true;
    this.#session.leave();
  }
}

const requestTrailersTooLarge: OriginFailure = {
  reason: 'limit',
  message: 'the request trailers are larger than the origin takes over HTTP/2',
};
const refused: OriginFailure = {
  reason: 'reset',
  message: 'the origin refused the HTTP/2 stream',
  unprocessed: 'refused',
};

/** What RST_STREAM means (RFC 9113, section 7), or what our own does: `why`, the origin broke a rule. */
function resetFailure(code: number, why: string | undefined): OriginFailure {
  if (why !== undefined) return { reason: 'protocol', message: `the origin sent ${why}` };
  switch (code) {
    case http2Error.refusedStream:
      return refused;
    case http2Error.http11Required:
      return {
        reason: 'protocol',
        message: 'the origin wants HTTP/1.1 for the request',
        unprocessed: 'http1',
      };
    case http2Error.noError:
      return { reason: 'reset', message: 'the origin ended its response before it was complete' };
    default: {
      const reason = code === http2Error.protocolError ? 'protocol' : 'reset';
      return { reason, message: `the origin reset the HTTP/2 stream with code ${code}` };
    }
  }
}
