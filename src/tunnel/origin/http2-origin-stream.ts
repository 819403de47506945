import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import { http2Error } from '../wire/http2-errors.ts';
import type { Exchange, OriginConnection } from './exchange.ts';
import { isFieldValue } from './header-field.ts';
import type { ResponseHead } from './http1-head.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';
import { http2RequestTrailers } from './http2-request.ts';
import type { OriginFailure } from './origin-failure.ts';

/** What a stream needs of its session. */
export interface StreamSession {
  /** Opens the stream; what HTTP/2 or Node refuses to send is a failure. */
  request(plan: RequestPlan, framing: BodyFraming, last: boolean): ClientHttp2Stream | OriginFailure;
  /** Why the session ended, or null while it lasts. */
  readonly failure: OriginFailure | null;
  /** It never got the stream, or said that it did not look at it (RFC 9113, section 6.8). */
  isUnprocessed(streamId: number | undefined): boolean;
  /** The stream is over; called once. */
  streamOver(): void;
}

const endStream = 0x1;
const decimal = /^[0-9]{1,15}$/;

/**
 * One exchange as a stream of an HTTP/2 session to an origin. Informational responses are swallowed (protocol page,
 * section 8.2). Owns the stream: whatever ends the exchange ends it, with CANCEL where it is not complete.
 */
export class Http2OriginStream implements OriginConnection {
  readonly exchanges: number;
  answered = false;
  readonly #session: StreamSession;
  #exchange: Exchange | null = null;
  #stream: ClientHttp2Stream | null = null;
  #requestDone = false;
  #requestTrailers: readonly string[] = [];
  #responseTrailers: readonly string[] = [];
  /** What is missing of the announced length of the response, -1 if none was. */
  #missingBytes = -1;
  #over = false;

  constructor(session: StreamSession, exchanges: number) {
    this.#session = session;
    this.exchanges = exchanges;
  }

  start(exchange: Exchange, plan: RequestPlan, framing: BodyFraming, last: boolean): void {
    this.#exchange = exchange;
    this.#requestDone = last;
    const stream = this.#session.request(plan, framing, last);
    if ('reason' in stream) {
      process.nextTick(() => this.#lose(stream));
      return;
    }
    this.#stream = stream;
    stream.once('response', (headers, flags, raw) => this.#head(stream, plan, headers, flags, raw));
    stream.once('trailers', (_headers, _flags, raw: readonly string[]) => {
      this.#responseTrailers = raw.some((text) => !isFieldValue(text)) ? [] : raw;
    });
    stream.once('wantTrailers', () => {
      if (!stream.closed) stream.sendTrailers(http2RequestTrailers(this.#requestTrailers));
    });
    stream.on('drain', () => this.#exchange?.requestDrained());
    stream.on('error', () => {});
    stream.once('close', () => this.#closed(stream));
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream;
    return stream === null || stream.writableEnded || stream.write(Buffer.from(chunk));
  }

  requestDone(trailers: readonly string[]): void {
    if (this.#requestDone) return;
    this.#requestDone = true;
    this.#requestTrailers = trailers;
    this.#stream?.end();
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  end(): void {
    this.destroy();
  }

  destroy(): void {
    this.#exchange = null;
    const stream = this.#stream;
    if (stream === null) return this.#release();
    if (!stream.closed) stream.close(http2Error.cancel);
    stream.destroy();
  }

  #head(
    stream: ClientHttp2Stream,
    { method }: RequestPlan,
    headers: IncomingHttpHeaders & IncomingHttpStatusHeader,
    flags: number,
    raw: readonly string[],
  ): void {
    this.answered = true;
    const length = headers['content-length'] ?? '';
    const bodyless = (flags & endStream) !== 0;
    const head: ResponseHead = {
      status: headers[':status'] ?? 0,
      headers: withoutPseudo(raw),
      contentLength: decimal.test(length) ? Number(length) : -1,
      bodyless,
      keepAliveSeconds: -1,
    };
    if (method !== 'HEAD' && head.status !== 304) this.#missingBytes = head.contentLength;
    this.#exchange?.responseHead(head);
    if (bodyless) {
      stream.resume();
      return this.#complete();
    }
    stream.on('data', (chunk: Buffer) => {
      if (this.#missingBytes > 0) this.#missingBytes -= chunk.length;
      this.#exchange?.responseBody(chunk);
    });
    // Node tells the end of a stream that was reset, too. With NO_ERROR it is taken for the end: to a slow reader Node's
    // own server sends that, behind the last of the body, instead of END_STREAM (against RFC 9113, section 8.1).
    stream.once('end', () => {
      if (stream.rstCode === http2Error.noError && this.#missingBytes <= 0) this.#complete();
    });
  }

  /** The response is whole. What is left of the request is of no use to anybody. */
  #complete(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    if (!this.#requestDone) this.destroy();
    exchange?.responseEnd(this.#responseTrailers);
  }

  #closed(stream: ClientHttp2Stream): void {
    const { failure } = this.#session;
    const code = stream.rstCode ?? http2Error.noError;
    const unprocessed = this.#unprocessed(stream.id, code);
    if (failure !== null || unprocessed !== null) {
      const seen = failure ?? { reason: 'reset', message: 'the origin refused the HTTP/2 stream' };
      return this.#lose(unprocessed === null ? seen : { ...seen, unprocessed });
    }
    // A reset is an answer: the origin has seen the request.
    this.answered = true;
    const message =
      code === http2Error.noError
        ? 'the origin ended its response before it was complete'
        : `the origin reset the HTTP/2 stream with code ${code}`;
    this.#lose({ reason: code === http2Error.protocolError ? 'protocol' : 'reset', message });
  }

  /** Node resets what lies behind a GOAWAY with REFUSED_STREAM, too, so that is asked first. */
  #unprocessed(streamId: number | undefined, code: number): 'ended' | 'refused' | null {
    if (this.#session.isUnprocessed(streamId)) return 'ended';
    return code === http2Error.refusedStream ? 'refused' : null;
  }

  #lose(failure: OriginFailure): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#release();
    exchange?.failed(failure);
  }

  #release(): void {
    if (this.#over) return;
    this.#over = true;
    this.#session.streamOver();
  }
}

function withoutPseudo(raw: readonly string[]): readonly string[] {
  let plain = 0;
  while (plain < raw.length && raw[plain]!.startsWith(':')) plain += 2;
  return raw.slice(plain);
}
