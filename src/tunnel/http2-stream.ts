import type { EdgeStream, StreamHandler } from './edge-session.ts';
import type { Sender, SendingHalf, SendingOwner } from './http2-sender.ts';
import type { ReceiveWindow } from './wire/flow-window.ts';
import { isSendable } from './wire/http2-request.ts';

/** What a stream needs of its session. */
export interface StreamHost {
  readonly sender: Sender;
  /** Both directions are over. */
  streamFinished(stream: Http2Stream): void;
  /** RST_STREAM, and the stream is gone; its handler is not told. */
  resetStream(stream: Http2Stream, code: number): void;
  /** The stream takes body bytes again: `stream.heldBytes` are consumed. */
  streamResumed(stream: Http2Stream): void;
  /** A handler threw. */
  handlerThrew(stream: Http2Stream, thrown: unknown): void;
}

const noHandler: StreamHandler = { data() {}, end() {}, reset() {}, drain() {} };

/**
 * One stream (RFC 9113, section 5.1) from "open" on; the session forgets it when it is closed. A call that comes
 * after that is ignored: what feeds the stream may learn of its end later.
 */
export class Http2Stream implements EdgeStream, SendingOwner {
  readonly id: number;
  readonly #host: StreamHost;
  readonly sending: SendingHalf;
  /** Null when the request has no body. */
  readonly receiving: ReceiveWindow | null;
  readonly headBytes: number;
  handler: StreamHandler = noHandler;
  /** The peer sent END_STREAM. */
  requestEnded: boolean;
  closed = false;
  paused = false;
  /** Given to the handler while it was paused, and not given back to the peer as window. */
  heldBytes = 0;
  /** What is missing of the announced content-length, -1 if none was announced. */
  bodyBytesLeft: number;
  #responded = false;
  /** To be reset with NO_ERROR as soon as the response is sent. */
  #resetWhenSent = false;

  constructor(
    id: number,
    host: StreamHost,
    receiving: ReceiveWindow | null,
    headBytes: number,
    contentLength: number,
  ) {
    this.id = id;
    this.#host = host;
    this.sending = host.sender.open(id, this);
    this.receiving = receiving;
    this.headBytes = headBytes;
    this.requestEnded = receiving === null;
    this.bodyBytesLeft = contentLength;
  }

  /** A final response was begun. */
  get responded(): boolean {
    return this.#responded;
  }

  takes(headers: readonly string[]): boolean {
    return this.#host.sender.takes(headers);
  }

  respond(status: number, headers: readonly string[], end: boolean): void {
    if (this.closed) return;
    if (this.#responded) throw new Error('a stream was responded to twice');
    checkSendable(headers);
    const informational = status < 200;
    if (informational && end) throw new Error('an informational response ended a stream');
    this.#responded = !informational;
    this.#host.sender.headers(this.sending, status, headers, end);
  }

  write(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    if (!this.#responded || this.sending.ended || this.sending.done) {
      throw new Error('a stream was written to before its response or after its end');
    }
    return chunk.length === 0 || this.#host.sender.write(this.sending, chunk);
  }

  end(trailers?: readonly string[]): void {
    if (this.closed || this.sending.ended || this.sending.done) return;
    if (!this.#responded) throw new Error('a stream was ended before its response');
    if (trailers !== undefined && trailers.length > 0) {
      checkSendable(trailers);
      this.#host.sender.end(this.sending, trailers);
    } else {
      this.#host.sender.end(this.sending, null);
    }
  }

  reset(code: number): void {
    if (this.closed) return;
    // "Enough of the request" (RFC 9113, section 8.1) must not cut off a response that waits for window.
    if (code === 0 && this.sending.ended && !this.sending.done) {
      this.#resetWhenSent = true;
      this.handler = noHandler;
      return;
    }
    this.#host.resetStream(this, code);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    if (!this.closed) this.#host.streamResumed(this);
  }

  drained(): void {
    if (this.closed) return;
    try {
      this.handler.drain();
    } catch (thrown) {
      this.#host.handlerThrew(this, thrown);
    }
  }

  sent(): void {
    if (this.requestEnded) this.#host.streamFinished(this);
    else if (this.#resetWhenSent) this.#host.resetStream(this, 0);
  }

  /** A piece of the body arrived. */
  deliver(chunk: Buffer): void {
    try {
      this.handler.data(chunk);
    } catch (thrown) {
      this.#host.handlerThrew(this, thrown);
    }
  }

  /** The request is complete. */
  endRequest(trailers: readonly string[]): void {
    this.requestEnded = true;
    const over = this.sending.done;
    try {
      this.handler.end(trailers);
    } catch (thrown) {
      this.#host.handlerThrew(this, thrown);
    }
    if (over && !this.closed) this.#host.streamFinished(this);
  }

  /** The stream is gone for a reason that is not its handler's. The session has forgotten it already. */
  tellReset(code: number): void {
    const { handler } = this;
    this.handler = noHandler;
    try {
      handler.reset(code);
    } catch (thrown) {
      this.#host.handlerThrew(this, thrown);
    }
  }
}

/** The caller has checked what it sends; this is the last line against smuggling a line break to the edge. */
function checkSendable(headers: readonly string[]): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!isSendable(headers[i]!, headers[i + 1]!)) {
      throw new Error(`header ${JSON.stringify(headers[i])} cannot be sent`);
    }
  }
}
