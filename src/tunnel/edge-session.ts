import type { ConnectionEnd } from './http2/connection.ts';
import type { StreamHandler } from './http2/stream.ts';

/**
 * The seam between "HTTP/2 session" and "proxy". A session speaks HTTP/2 in the *server* role on a socket that
 * the connector has dialled (protocol page, section 5), and gives each stream to one handler. Callbacks instead
 * of Node streams, because this is the hot path.
 *
 * Ownership: bytes that are handed over, to `data` or to `write`, are valid during the call only, because nearly all
 * of them lie in the one buffer that the sockets of a thread share for reading; `data` may write into them.
 */

export interface EdgeSession {
  /**
   * Lets running streams finish, refuses new ones (GOAWAY NO_ERROR), then ends the socket. Takes as long as the
   * streams take: the caller has a grace period and then calls `destroy`. Idempotent.
   */
  close(): void;
  /** Ends the socket now; every open stream's handler gets `reset`. Idempotent. */
  destroy(): void;
  ping(): void;
  /** PINGs of ours that the peer has not acknowledged. */
  readonly unansweredPings: number;
  /** Changes whenever anything comes from the peer. */
  readonly chunksHeard: number;
  /** Streams that are open now. */
  readonly openStreams: number;
}

/** What the owner of a session learns. `ended` is called exactly once, after every handler was told. */
export interface EdgeSessionEvents {
  /** Returns the handler of the new stream; it is called for this stream only. */
  stream(stream: EdgeStream, head: RequestHead): StreamHandler;
  /** The last open stream is gone; if it was not by its handler, that hears of it next. */
  idle?(): void;
  goaway(code: number): void;
  /** A handler threw, which is a bug: its stream was reset (INTERNAL_ERROR), the session goes on. */
  handlerThrew(thrown: unknown): void;
  /** Nothing is read or sent any more; handlers that are left are told next. At most once, before `ended`. */
  ending?(cause: ConnectionEnd): void;
  ended(cause: ConnectionEnd): void;
}

/**
 * A validated request head (RFC 9113, section 8.3.1). Connection-specific headers never get this far, nor does
 * `host`: `authority` has its place. `method` is a token and never CONNECT; `path` is `*` or begins with `/` and has
 * no broken percent escape, but may hold characters that no URI may; a `content-length` is one number, and the
 * body will have that length.
 */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  readonly authority: string;
  /** name, value, name, value …: regular headers in order, names in lower case, one entry per field line. */
  readonly headers: readonly string[];
  /** True when the request has no body (END_STREAM on HEADERS). */
  readonly ended: boolean;
}

export interface EdgeStream {
  readonly id: number;
  /** Whether the peer takes a head, or trailers, of these: what it does not take can end the whole connection. */
  takes(headers: readonly string[]): boolean;
  /**
   * Sends HEADERS. `headers` is name, value, …, lower-case names. With `end`, no body follows. Any number of 1xx may come
   * before the one final status.
   */
  respond(status: number, headers: readonly string[], end: boolean): void;
  /**
   * Queues DATA in order. False when the peer's window or the socket is full: write no more until `drain`
   * (what was given is still accepted).
   */
  write(chunk: Uint8Array): boolean;
  /** Ends the response, with trailers (name, value, …) if there are any; no-op if its head has ended it. */
  end(trailers?: readonly string[]): void;
  /**
   * RST_STREAM with an HTTP/2 error code (`wire/http2-errors`); the handler hears nothing more. Idempotent.
   * What was queued is thrown away, save with `noError` after `end`: then the response is sent whole first, and
   * the reset asks the peer to stop a request body that nobody reads (RFC 9113, section 8.1).
   */
  reset(code: number): void;
  /** Stops giving window to the peer: at most one window (1 MiB) of body still arrives and is given to `data`. */
  pause(): void;
  resume(): void;
}
