import type { RequestHead } from '../../edge-session.ts';
import type { HeaderField } from '../../wire/hpack-static.ts';
import { broken, Http2ConnectionError, http2Error } from '../../wire/http2-errors.ts';
import { readTrailers } from '../../wire/http2-fields.ts';
import { setting } from '../../wire/http2-frames.ts';
import type { Http2Limits } from '../../wire/http2-limits.ts';
import { type RequestAnswer, readRequest } from '../../wire/http2-request.ts';
import type { Faults } from '../faults.ts';
import type { Role } from '../role.ts';
import type { StreamHandler } from '../stream.ts';
import type { StreamTable } from '../stream-table.ts';
import { ServerStream } from './stream.ts';

/** Whom a server's role tells. */
export interface RequestsOwner {
  /** Returns the handler of the new stream; it is called for this stream only. */
  stream(stream: ServerStream, head: RequestHead): StreamHandler;
  goaway(code: number): void;
}

/** We are the server: the peer opens streams, and each begins with the head of a request. */
export class Requests implements Role<ServerStream> {
  readonly #streams: StreamTable<ServerStream>;
  readonly #faults: Faults<ServerStream>;
  readonly #limits: Http2Limits;
  readonly #owner: RequestsOwner;
  lastStreamId = 0;
  /** The highest that the peer has opened, looked at or refused. */
  #highestId = 0;
  /** New streams are answered REFUSED_STREAM, which the peer may retry elsewhere. */
  #refusing = false;

  constructor(
    streams: StreamTable<ServerStream>,
    faults: Faults<ServerStream>,
    limits: Http2Limits,
    owner: RequestsOwner,
  ) {
    this.#streams = streams;
    this.#faults = faults;
    this.#limits = limits;
    this.#owner = owner;
  }

  isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.#highestId;
  }

  headers(stream: ServerStream, fields: readonly HeaderField[] | null, endStream: boolean): void {
    this.#faults.trailers(stream, readTrailers(fields), endStream);
  }

  unknownHeaders(
    streamId: number,
    fields: readonly HeaderField[] | null,
    listBytes: number,
    endStream: boolean,
    selfDependent: boolean,
  ): void {
    if ((streamId & 1) === 0) {
      throw broken('a client opened an even stream');
    }
    if (streamId <= this.lastStreamId) {
      if (this.#streams.wasReset(streamId)) return;
      throw new Http2ConnectionError(http2Error.streamClosed, 'HEADERS on a closed stream');
    }
    this.#highestId = Math.max(this.#highestId, streamId);
    if (this.#refusing) return this.#streams.refuse(streamId, http2Error.refusedStream);
    this.lastStreamId = streamId;
    if (selfDependent) return this.#faults.ofUnknown(streamId, http2Error.protocolError);
    if (!this.#hasRoom(listBytes)) return this.#faults.ofUnknown(streamId, http2Error.refusedStream);
    const reading = readRequest(fields, endStream);
    switch (reading.kind) {
      case 'malformed':
        return this.#faults.ofUnknown(streamId, http2Error.protocolError);
      case 'answer':
        return answer(this.#open(streamId, endStream, 0, -1), reading);
      default: {
        const stream = this.#open(streamId, endStream, listBytes, reading.contentLength);
        return this.#begin(stream, reading);
      }
    }
  }

  streamReset(stream: ServerStream, code: number): void {
    if (!stream.responded) this.#faults.wasted('streams reset');
    this.#streams.resetByPeer(stream, code);
  }

  goneAway(_lastStreamId: number, code: number): void {
    this.#owner.goaway(code);
  }

  setting(id: number, value: number): void {
    // We push nothing, so it is only looked at. The rest is unknown.
    if (id === setting.enablePush && value > 1) throw broken(`ENABLE_PUSH is ${value}`);
  }

  closing(): void {
    this.#refusing = true;
  }

  #hasRoom(headBytes: number): boolean {
    const { maxConcurrentStreams, maxOpenHeaderBytes } = this.#limits;
    return (
      this.#streams.size < maxConcurrentStreams && this.#streams.headBytes + headBytes <= maxOpenHeaderBytes
    );
  }

  #open(id: number, ended: boolean, headBytes: number, contentLength: number): ServerStream {
    const window = ended ? null : this.#streams.newWindow();
    const stream = new ServerStream(id, this.#streams, window, headBytes, contentLength);
    this.#streams.add(stream);
    return stream;
  }

  /** Hands a stream to whoever serves it. */
  #begin(stream: ServerStream, head: RequestHead): void {
    try {
      const handler = this.#owner.stream(stream, head);
      stream.begin(handler);
    } catch (thrown) {
      this.#streams.handlerThrew(stream, thrown);
    }
  }
}

/** Answers a request here, before any handler hears of it. */
function answer(stream: ServerStream, { status, text, headOnly }: RequestAnswer): void {
  const body = Buffer.from(text, 'latin1');
  const headers = ['content-type', 'text/plain; charset=utf-8', 'content-length', String(body.length)];
  stream.respond(status, headers, headOnly);
  if (!headOnly) {
    stream.write(body);
    stream.end();
  }
  // The rest of the request is of no interest (RFC 9113, section 8.1).
  stream.reset(http2Error.noError);
}
