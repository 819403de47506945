import type { HeaderField } from '../../wire/hpack-static.ts';
import { broken, http2Error } from '../../wire/http2-errors.ts';
import { setting } from '../../wire/http2-frames.ts';
import { readResponse, readResponseTrailers } from '../../wire/http2-response.ts';
import type { Faults } from '../faults.ts';
import type { Role } from '../role.ts';
import type { StreamTable } from '../stream-table.ts';
import { ClientStream, type ResponseHandler } from './stream.ts';

const largestStreamId = 2 ** 31 - 1;

/** Whom a client's role tells. */
export interface ResponsesOwner {
  /** GOAWAY: streams above `lastStreamId` were not looked at, those up to it go on. May come more than once. */
  goneAway(lastStreamId: number, code: number): void;
}

/** We are the client: we open streams with requests, and the peer answers each with responses. */
export class Responses implements Role<ClientStream> {
  /** The peer opens none: it may not push. */
  readonly lastStreamId = 0;
  /** What the peer allows at the same time; without a word of it, any number (RFC 9113, section 6.5.2). */
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  readonly #streams: StreamTable<ClientStream>;
  readonly #faults: Faults<ClientStream>;
  readonly #maxInterimResponses: number;
  readonly #owner: ResponsesOwner;
  #nextId = 1;

  /** `maxInterimResponses`: informational ones (1xx) before the real one. */
  constructor(
    streams: StreamTable<ClientStream>,
    faults: Faults<ClientStream>,
    maxInterimResponses: number,
    owner: ResponsesOwner,
  ) {
    this.#streams = streams;
    this.#faults = faults;
    this.#maxInterimResponses = maxInterimResponses;
    this.#owner = owner;
  }

  /** All ids are used up (RFC 9113, section 5.1.1). */
  get exhausted(): boolean {
    return this.#nextId > largestStreamId;
  }

  /** Of the stream opened last, below 1 before the first. */
  get newestId(): number {
    return this.#nextId - 2;
  }

  /** A new stream; its request is to be sent before another is opened. Not when `exhausted`. */
  open(method: string, handler: ResponseHandler): ClientStream {
    const stream = new ClientStream(this.#nextId, this.#streams, this.#streams.newWindow(), method, handler);
    this.#nextId += 2;
    this.#streams.add(stream);
    return stream;
  }

  isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId >= this.#nextId;
  }

  headers(stream: ClientStream, fields: readonly HeaderField[] | null, endStream: boolean): void {
    if (fields === null) {
      return this.#faults.ofStream(
        stream,
        http2Error.enhanceYourCalm,
        'a head or trailers that are too large',
      );
    }
    if (stream.headReceived) {
      return this.#faults.trailers(stream, readResponseTrailers(fields), endStream);
    }
    const reading = readResponse(fields);
    if (reading.kind === 'malformed') return this.#malformed(stream, reading.why);
    if (reading.status < 200) {
      // 101 is HTTP/1.1's alone (RFC 9113, section 8.6).
      if (endStream || reading.status === 101)
        return this.#malformed(stream, `${reading.status} is no answer`);
      stream.interimResponses += 1;
      if (stream.interimResponses <= this.#maxInterimResponses) return;
      return this.#faults.ofStream(stream, http2Error.enhanceYourCalm, 'too many informational responses');
    }
    if (!stream.respondedTo(reading, endStream)) {
      return this.#malformed(stream, 'a content-length and no body');
    }
    if (endStream && !stream.closed) this.#faults.end(stream);
  }

  unknownHeaders(streamId: number): void {
    if (this.isIdle(streamId)) throw broken('HEADERS on a stream that was not opened');
    // Of thousands of resets, while the peer is busy, the first are not known any more: no more than DATA would cost.
    if (!this.#streams.wasReset(streamId)) this.#faults.ofUnknown(streamId, http2Error.streamClosed);
  }

  /**
   * With NO_ERROR it is the end where all of an announced length has come: Node.js' own server sends that instead of
   * END_STREAM (against RFC 9113, section 8.1) when the last of the body has just filled the window. Of an unknown
   * length nobody could tell that from a response cut short, to which the same server, and Envoy, give that code too.
   */
  streamReset(stream: ClientStream, code: number): void {
    const whole = code === http2Error.noError && stream.headReceived && stream.bodyBytesLeft === 0;
    if (whole && !stream.peerEnded) this.#streams.endByReset(stream);
    else this.#streams.resetByPeer(stream, code);
  }

  goneAway(lastStreamId: number, code: number): void {
    this.#owner.goneAway(lastStreamId, code);
  }

  setting(id: number, value: number): void {
    if (id === setting.maxConcurrentStreams) this.maxConcurrentStreams = value;
    // Only a client may allow to be pushed at (RFC 9113, section 6.5.2). The rest is unknown.
    else if (id === setting.enablePush && value !== 0) throw broken(`ENABLE_PUSH is ${value}`);
  }

  closing(): void {}

  #malformed(stream: ClientStream, why: string): void {
    this.#faults.ofStream(stream, http2Error.protocolError, `a malformed response: ${why}`);
  }
}
