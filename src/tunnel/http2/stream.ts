import type { ReceiveWindow } from '../wire/flow-window.ts';
import { isSendable } from '../wire/http2-fields.ts';
import type { Sender, SendingHalf, SendingOwner } from './sender.ts';

/** What a stream needs of its connection. */
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

/** A stream's user. After `reset`, or after both directions ended, nothing is called any more. */
export interface StreamHandler {
  /** A piece of the peer's body, valid during the call only. */
  data(chunk: Buffer): void;
  /** The peer's message is complete. */
  end(trailers: readonly string[]): void;
  /** The peer reset the stream, or the connection is gone; with `why`, the peer broke a rule of it. */
  reset(code: number, why?: string): void;
  /** After a `write` that returned false: there is room again. */
  drain(): void;
}

const noHandler: StreamHandler = { data() {}, end() {}, reset() {}, drain() {} };

/**
 * One stream (RFC 9113, section 5.1) from "open" on; the connection forgets it when it is closed. A call that comes
 * after that is ignored: what feeds the stream may learn of its end later. How a message begins is its role's.
 */
export abstract class Http2Stream implements SendingOwner {
  readonly id: number;
  protected readonly host: StreamHost;
  readonly sending: SendingHalf;
  /** Null when the peer sends no body. */
  readonly receiving: ReceiveWindow | null;
  /** What the head of the peer's message takes as long as the stream is open. */
  readonly headBytes: number;
  handler = noHandler;
  /** The head of the peer's message has come. */
  abstract readonly headReceived: boolean;
  /** The peer sent END_STREAM. */
  peerEnded: boolean;
  closed = false;
  paused = false;
  /** Given to the handler while it was paused, and not given back to the peer as window. */
  heldBytes = 0;
  /** What is missing of the announced content-length, -1 if none was announced. */
  bodyBytesLeft: number;
  /** A message of ours was begun. */
  protected headSent = false;
  /** To be reset with NO_ERROR as soon as what was given is sent. */
  #resetWhenSent = false;

  constructor(
    id: number,
    host: StreamHost,
    receiving: ReceiveWindow | null,
    headBytes: number,
    contentLength: number,
  ) {
    this.id = id;
    this.host = host;
    this.sending = host.sender.open(id, this);
    this.receiving = receiving;
    this.headBytes = headBytes;
    this.peerEnded = receiving === null;
    this.bodyBytesLeft = contentLength;
  }

  /** From here on `handler` hears of the stream, unless its user has left it by now. */
  begin(handler: StreamHandler): void {
    if (!this.closed && !this.#resetWhenSent) this.handler = handler;
  }

  /** Whether the peer takes a head, or trailers, of these: what it does not take can end the whole connection. */
  takes(headers: readonly string[]): boolean {
    return this.host.sender.takes(headers);
  }

  write(chunk: Uint8Array): boolean {
    if (this.closed) return true;
    if (!this.headSent || this.sending.ended || this.sending.done) {
      throw new Error('a stream was written to before its head or after its end');
    }
    return chunk.length === 0 || this.host.sender.write(this.sending, chunk);
  }

  end(trailers?: readonly string[]): void {
    if (this.closed || this.sending.ended || this.sending.done) return;
    if (!this.headSent) throw new Error('a stream was ended before its head');
    if (trailers !== undefined && trailers.length > 0) {
      checkSendable(trailers);
      this.host.sender.end(this.sending, trailers);
    } else {
      this.host.sender.end(this.sending, null);
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
    this.host.resetStream(this, code);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (!this.closed) this.host.streamResumed(this);
  }

  drained(): void {
    if (this.closed) return;
    try {
      this.handler.drain();
    } catch (thrown) {
      this.host.handlerThrew(this, thrown);
    }
  }

  sent(): void {
    if (this.peerEnded) this.host.streamFinished(this);
    else if (this.#resetWhenSent) this.host.resetStream(this, 0);
  }

  /** A piece of the body arrived. */
  deliver(chunk: Buffer): void {
    try {
      this.handler.data(chunk);
    } catch (thrown) {
      this.host.handlerThrew(this, thrown);
    }
  }

  /** The peer's message is complete. */
  endByPeer(trailers: readonly string[]): void {
    this.peerEnded = true;
    const over = this.sending.done;
    try {
      this.handler.end(trailers);
    } catch (thrown) {
      this.host.handlerThrew(this, thrown);
    }
    if (over && !this.closed) this.host.streamFinished(this);
  }

  /** The stream is gone for a reason that is not its handler's. The connection has forgotten it already. */
  tellReset(code: number, why?: string): void {
    const { handler } = this;
    this.handler = noHandler;
    try {
      handler.reset(code, why);
    } catch (thrown) {
      this.host.handlerThrew(this, thrown);
    }
  }
}

/** The caller has checked what it sends; this is the last line against smuggling a line break. From entry `from` on. */
export function checkSendable(headers: readonly string[], from = 0): void {
  for (let i = from; i + 1 < headers.length; i += 2) {
    if (!isSendable(headers[i]!, headers[i + 1]!)) {
      throw new Error(`header ${JSON.stringify(headers[i])} cannot be sent`);
    }
  }
}
