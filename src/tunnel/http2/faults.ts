import { FloodGuard } from '../wire/flood-guard.ts';
import { flooded, http2Error } from '../wire/http2-errors.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

const noTrailers: readonly string[] = [];

/**
 * What it costs a peer to break a rule of one stream: the stream, and when it does so too often, or sends too much
 * that comes to nothing, the connection (`Http2ConnectionError`).
 */
export class Faults<S extends Http2Stream> {
  readonly #streams: StreamTable<S>;
  readonly #limits: Http2Limits;
  readonly #wasted: FloodGuard;
  readonly #idle: FloodGuard;
  readonly #cheap: FloodGuard;

  constructor(streams: StreamTable<S>, limits: Http2Limits, monotonicMs: () => number) {
    this.#streams = streams;
    this.#limits = limits;
    this.#wasted = new FloodGuard(limits.wastedStreams, monotonicMs);
    this.#idle = new FloodGuard(limits.idleFrames, monotonicMs);
    this.#cheap = new FloodGuard(limits.cheapFrames, monotonicMs);
  }

  /** A DATA frame was sent: the peer owes us WINDOW_UPDATE for it. */
  dataSent(): void {
    this.#cheap.allow(this.#limits.windowUpdatesPerData);
    this.#idle.allow(this.#limits.idleFramesPerData);
  }

  /** The peer broke a rule of an open stream; `why` is for the log. */
  ofStream(stream: S, code: number, why: string): void {
    this.wasted('faulty streams');
    this.#streams.fault(stream, code, why);
  }

  /** The same of a stream that is not, or not any more, open. */
  ofUnknown(streamId: number, code: number): void {
    this.wasted('faulty streams');
    this.#streams.refuse(streamId, code);
  }

  /** A stream came to nothing. */
  wasted(what: string): void {
    spend(this.#wasted, what);
  }

  /** A frame that obliges us to answer, or does nothing at all. */
  idle(what: string): void {
    spend(this.#idle, what);
  }

  /** A frame of which there may be many. */
  cheap(what: string): void {
    spend(this.#cheap, what);
  }

  /** The second header block of a message (RFC 9113, section 8.1): its end. Null: `trailers` are malformed. */
  trailers(stream: S, trailers: readonly string[] | null, endStream: boolean): void {
    if (stream.peerEnded) return this.ofStream(stream, http2Error.streamClosed, 'HEADERS behind its end');
    if (trailers !== null && endStream) return this.end(stream, trailers);
    this.ofStream(stream, http2Error.protocolError, 'malformed trailers');
  }

  /** The peer's message is over, and is to be as long as announced. */
  end(stream: S, trailers = noTrailers): void {
    if (stream.bodyBytesLeft > 0) {
      this.ofStream(stream, http2Error.protocolError, 'a body shorter than its content-length');
    } else stream.endByPeer(trailers);
  }
}

function spend(guard: FloodGuard, what: string): void {
  if (!guard.take()) throw flooded(what);
}
