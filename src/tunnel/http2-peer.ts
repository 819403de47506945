import { applySettings } from './http2-peer-settings.ts';
import type { Http2Stream } from './http2-stream.ts';
import type { StreamTable } from './http2-stream-table.ts';
import type { Output } from './output.ts';
import { FloodGuard } from './wire/flood-guard.ts';
import { HpackDecoder } from './wire/hpack-decoder.ts';
import type { HeaderField } from './wire/hpack-static.ts';
import { broken, flooded, Http2ConnectionError, http2Error } from './wire/http2-errors.ts';
import type { FrameSink } from './wire/http2-frame-parser.ts';
import { pingFrame, settingsAckFrame } from './wire/http2-frames.ts';
import type { Http2Limits } from './wire/http2-limits.ts';
import { type RequestAnswer, readRequest, readTrailers } from './wire/http2-request.ts';

/** What the session itself hears of the peer. */
export interface PeerEvents {
  preface(): void;
  /** The peer's SETTINGS were applied and acknowledged. */
  settings(): void;
  /** The peer acknowledged ours. */
  settingsAck(): void;
  /** A PING of ours was acknowledged. */
  pong(): void;
  goaway(code: number): void;
}

const noTrailers: readonly string[] = [];

/**
 * What each frame of the peer means (RFC 9113, sections 5 and 6). Every breach of a rule is either a stream's
 * own (reset, counted as wasted) or thrown as `Http2ConnectionError`.
 */
export class Peer implements FrameSink {
  readonly #streams: StreamTable;
  readonly #output: Output;
  readonly #limits: Http2Limits;
  readonly #events: PeerEvents;
  readonly #decoder: HpackDecoder;
  readonly #wasted: FloodGuard;
  readonly #idle: FloodGuard;
  readonly #cheap: FloodGuard;
  #lastStreamId = 0;
  #refusing = false;
  /** Whose DATA frame is being read, and what of it was not counted as consumed yet. */
  #dataStream: Http2Stream | null = null;
  #dataUncounted = 0;

  constructor(
    streams: StreamTable,
    output: Output,
    limits: Http2Limits,
    monotonicMs: () => number,
    events: PeerEvents,
  ) {
    this.#streams = streams;
    this.#output = output;
    this.#limits = limits;
    this.#events = events;
    this.#decoder = new HpackDecoder(limits.headerTableBytes, {
      maxListBytes: limits.maxHeaderListBytes,
      maxFields: limits.maxHeaderFields,
    });
    this.#wasted = new FloodGuard(limits.wastedStreams, monotonicMs);
    this.#idle = new FloodGuard(limits.idleFrames, monotonicMs);
    this.#cheap = new FloodGuard(limits.cheapFrames, monotonicMs);
  }

  /** For GOAWAY: no stream above it was or will be processed. */
  get lastStreamId(): number {
    return this.#lastStreamId;
  }

  /** From now on new streams are answered REFUSED_STREAM, which the peer may retry elsewhere. */
  refuseNewStreams(): void {
    this.#refusing = true;
  }

  /** A DATA frame was sent: the peer owes us WINDOW_UPDATE for it. */
  dataSent(): void {
    this.#cheap.allow(this.#limits.windowUpdatesPerData);
  }

  preface(): void {
    this.#events.preface();
  }

  dataBegins(streamId: number, flowBytes: number, endStream: boolean): boolean {
    if (!this.#streams.receive(flowBytes)) {
      throw new Http2ConnectionError(http2Error.flowControlError, 'DATA beyond the connection window');
    }
    if (flowBytes === 0 && !endStream) spend(this.#idle, 'empty DATA frames');
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.requestEnded || stream.receiving === null) {
      this.#streams.consumed(flowBytes);
      if (stream === undefined) this.#dataOnClosed(streamId);
      else this.#fault(stream, http2Error.streamClosed);
      return false;
    }
    if (!stream.receiving.receive(flowBytes)) {
      this.#streams.consumed(flowBytes);
      this.#fault(stream, http2Error.flowControlError);
      return false;
    }
    this.#dataStream = stream;
    this.#dataUncounted = flowBytes;
    return true;
  }

  dataPiece(source: Buffer, start: number, end: number): void {
    const bytes = end - start;
    this.#dataUncounted -= bytes;
    this.#deliver(this.#dataStream!, source, start, end);
    this.#streams.consumed(bytes);
  }

  dataEnds(endStream: boolean): void {
    const stream = this.#dataStream!;
    this.#dataStream = null;
    // Padding and its length byte count against the windows too.
    if (this.#dataUncounted > 0) {
      this.#streams.taken(stream, this.#dataUncounted);
      this.#streams.consumed(this.#dataUncounted);
    }
    if (endStream && !stream.closed) this.#requestEnds(stream, noTrailers);
  }

  headers(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    source: Buffer,
    start: number,
    end: number,
  ): void {
    // Decoded in any case: the next block builds on its table.
    const fields = this.#decoder.decode(source, start, end);
    const open = this.#streams.get(streamId);
    if (open !== undefined) return this.#trailers(open, fields, endStream);
    if ((streamId & 1) === 0) {
      throw broken('a client opened an even stream');
    }
    if (streamId <= this.#lastStreamId) {
      if (this.#streams.wasReset(streamId)) return;
      throw new Http2ConnectionError(http2Error.streamClosed, 'HEADERS on a closed stream');
    }
    if (this.#refusing) return this.#streams.refuse(streamId, http2Error.refusedStream);
    this.#lastStreamId = streamId;
    if (selfDependent) return this.#waste(streamId, http2Error.protocolError);
    const headBytes = this.#decoder.listBytes;
    if (!this.#streams.hasRoom(headBytes)) return this.#waste(streamId, http2Error.refusedStream);
    const reading = readRequest(fields, endStream);
    switch (reading.kind) {
      case 'malformed':
        return this.#waste(streamId, http2Error.protocolError);
      case 'answer':
        return answer(this.#streams.open(streamId, endStream, 0, -1), reading);
      default: {
        const stream = this.#streams.open(streamId, endStream, headBytes, reading.contentLength);
        return this.#streams.begin(stream, reading);
      }
    }
  }

  ignored(): void {
    spend(this.#cheap, 'frames of no use');
  }

  streamReset(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#refuseIdle(streamId, 'RST_STREAM');
      return spend(this.#cheap, 'resets of closed streams');
    }
    if (!stream.responded) spend(this.#wasted, 'streams reset');
    this.#streams.resetByPeer(stream, code);
  }

  settings(source: Buffer, start: number, end: number): void {
    spend(this.#idle, 'SETTINGS frames');
    applySettings(source, start, end, this.#streams);
    this.#output.frame(settingsAckFrame());
    this.#events.settings();
    this.#streams.sender.pump();
  }

  settingsAck(): void {
    this.#events.settingsAck();
  }

  pinged(ack: boolean, source: Buffer, start: number): void {
    spend(this.#idle, 'PING frames');
    if (ack) this.#events.pong();
    else this.#output.frame(pingFrame(true, source.subarray(start, start + 8)));
  }

  goneAway(_lastStreamId: number, code: number): void {
    spend(this.#idle, 'GOAWAY frames');
    this.#events.goaway(code);
  }

  windowUpdate(streamId: number, increment: number): void {
    spend(this.#cheap, 'WINDOW_UPDATE frames');
    if (streamId === 0) {
      if (increment === 0) throw broken('WINDOW_UPDATE by 0');
      if (!this.#streams.sender.grow(null, increment)) {
        throw new Http2ConnectionError(http2Error.flowControlError, 'the connection window grew too large');
      }
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#refuseIdle(streamId, 'WINDOW_UPDATE');
    if (increment === 0) this.#fault(stream, http2Error.protocolError);
    else if (!this.#streams.sender.grow(stream.sending, increment)) {
      this.#fault(stream, http2Error.flowControlError);
    }
  }

  streamError(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return this.#fault(stream, code);
    // RST_STREAM on an idle stream would break the protocol on our side.
    if (streamId > this.#lastStreamId)
      throw new Http2ConnectionError(code, 'a faulty frame on an idle stream');
    this.#waste(streamId, code);
  }

  #deliver(stream: Http2Stream, source: Buffer, start: number, end: number): void {
    if (stream.closed) return;
    const bytes = end - start;
    if (stream.bodyBytesLeft >= 0) {
      if (bytes > stream.bodyBytesLeft) return this.#fault(stream, http2Error.protocolError);
      stream.bodyBytesLeft -= bytes;
    }
    stream.deliver(bytes === source.length ? source : source.subarray(start, end));
    this.#streams.taken(stream, bytes);
  }

  #trailers(stream: Http2Stream, fields: readonly HeaderField[] | null, endStream: boolean): void {
    if (stream.requestEnded) return this.#fault(stream, http2Error.streamClosed);
    const trailers = endStream ? readTrailers(fields) : null;
    if (trailers === null) this.#fault(stream, http2Error.protocolError);
    else this.#requestEnds(stream, trailers);
  }

  #requestEnds(stream: Http2Stream, trailers: readonly string[]): void {
    if (stream.bodyBytesLeft > 0) this.#fault(stream, http2Error.protocolError);
    else stream.endRequest(trailers);
  }

  #dataOnClosed(streamId: number): void {
    this.#refuseIdle(streamId, 'DATA');
    if (!this.#streams.wasReset(streamId)) this.#waste(streamId, http2Error.streamClosed);
  }

  #refuseIdle(streamId: number, frame: string): void {
    if (streamId > this.#lastStreamId && !this.#streams.wasReset(streamId)) {
      throw broken(`${frame} on an idle stream`);
    }
  }

  #fault(stream: Http2Stream, code: number): void {
    spend(this.#wasted, 'faulty streams');
    this.#streams.fault(stream, code);
  }

  #waste(streamId: number, code: number): void {
    spend(this.#wasted, 'faulty streams');
    this.#streams.refuse(streamId, code);
  }
}

/** Answers a request here, before any handler hears of it. */
function answer(stream: Http2Stream, { status, text }: RequestAnswer): void {
  const body = Buffer.from(text, 'latin1');
  const headers = ['content-type', 'text/plain; charset=utf-8', 'content-length', String(body.length)];
  stream.respond(status, headers, false);
  stream.write(body);
  stream.end();
  // The rest of the request is of no interest (RFC 9113, section 8.1).
  stream.reset(http2Error.noError);
}

function spend(guard: FloodGuard, what: string): void {
  if (!guard.take()) throw flooded(what);
}
