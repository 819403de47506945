import type { Output } from '../output.ts';
import { HpackDecoder } from '../wire/hpack-decoder.ts';
import { broken, Http2ConnectionError, http2Error } from '../wire/http2-errors.ts';
import type { FrameSink } from '../wire/http2-frame-parser.ts';
import { pingFrame, settingsAckFrame } from '../wire/http2-frames.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';
import type { Faults } from './faults.ts';
import { applySettings } from './peer-settings.ts';
import type { Role } from './role.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** What the connection itself hears of the peer. */
export interface PeerEvents {
  preface(): void;
  /** The peer's SETTINGS were applied and acknowledged. */
  settings(): void;
  /** The peer acknowledged ours. */
  settingsAck(): void;
  /** A PING of ours was acknowledged. */
  pong(): void;
}

/**
 * What each frame of the peer means (RFC 9113, sections 5 and 6), as far as that is the same for clients and servers.
 * Every breach of a rule is either a stream's own (reset, counted as wasted) or thrown as `Http2ConnectionError`.
 */
export class Peer<S extends Http2Stream> implements FrameSink {
  readonly #role: Role<S>;
  readonly #streams: StreamTable<S>;
  readonly #faults: Faults<S>;
  readonly #output: Output;
  readonly #events: PeerEvents;
  readonly #decoder: HpackDecoder;
  /** Whose DATA frame is being read, and what of it was not counted as consumed yet. */
  #dataStream: S | null = null;
  #dataUncounted = 0;
  /** Changes with every header block and every DATA frame: what a peer's requests or responses are made of. */
  messageFrames = 0;

  constructor(
    role: Role<S>,
    streams: StreamTable<S>,
    faults: Faults<S>,
    output: Output,
    limits: Http2Limits,
    events: PeerEvents,
  ) {
    this.#role = role;
    this.#streams = streams;
    this.#faults = faults;
    this.#output = output;
    this.#events = events;
    this.#decoder = new HpackDecoder(limits.headerTableBytes, {
      maxListBytes: limits.maxHeaderListBytes,
      maxFields: limits.maxHeaderFields,
    });
  }

  preface(): void {
    this.#events.preface();
  }

  dataBegins(streamId: number, flowBytes: number, endStream: boolean): boolean {
    this.messageFrames += 1;
    if (!this.#streams.receive(flowBytes)) {
      throw new Http2ConnectionError(http2Error.flowControlError, 'DATA beyond the connection window');
    }
    if (flowBytes === 0 && !endStream) this.#faults.idle('empty DATA frames');
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.peerEnded || stream.receiving === null) {
      this.#streams.consumed(flowBytes);
      if (stream === undefined) this.#dataOnClosed(streamId);
      else this.#faults.ofStream(stream, http2Error.streamClosed, 'DATA behind its end');
      return false;
    }
    if (!stream.headReceived || !stream.receiving.receive(flowBytes)) {
      this.#streams.consumed(flowBytes);
      if (stream.headReceived) {
        this.#faults.ofStream(stream, http2Error.flowControlError, 'DATA beyond its window');
      } else this.#faults.ofStream(stream, http2Error.protocolError, 'DATA before a head');
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
    if (endStream && !stream.closed) this.#faults.end(stream);
  }

  headers(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    source: Buffer,
    start: number,
    end: number,
  ): void {
    this.messageFrames += 1;
    // Decoded in any case: the next block builds on its table.
    const fields = this.#decoder.decode(source, start, end);
    const open = this.#streams.get(streamId);
    if (open !== undefined) return this.#role.headers(open, fields, endStream);
    this.#role.unknownHeaders(streamId, fields, this.#decoder.listBytes, endStream, selfDependent);
  }

  ignored(): void {
    this.#faults.cheap('frames of no use');
  }

  streamReset(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return this.#role.streamReset(stream, code);
    this.#refuseIdle(streamId, 'RST_STREAM');
    this.#faults.cheap('resets of closed streams');
  }

  settings(source: Buffer, start: number, end: number): void {
    this.#faults.idle('SETTINGS frames');
    applySettings(source, start, end, this.#streams, this.#role);
    this.#output.frame(settingsAckFrame());
    this.#events.settings();
    this.#streams.sender.pump();
  }

  settingsAck(): void {
    this.#faults.idle('SETTINGS acknowledged');
    this.#streams.settingsAcknowledged();
    this.#events.settingsAck();
  }

  pinged(ack: boolean, source: Buffer, start: number): void {
    this.#faults.idle('PING frames');
    if (ack) this.#events.pong();
    else this.#output.frame(pingFrame(true, source.subarray(start, start + 8)));
  }

  goneAway(lastStreamId: number, code: number): void {
    this.#faults.idle('GOAWAY frames');
    this.#role.goneAway(lastStreamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#faults.cheap('WINDOW_UPDATE frames');
    if (streamId === 0) {
      if (increment === 0) throw broken('WINDOW_UPDATE by 0');
      if (!this.#streams.sender.grow(null, increment)) {
        throw new Http2ConnectionError(http2Error.flowControlError, 'the connection window grew too large');
      }
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#refuseIdle(streamId, 'WINDOW_UPDATE');
    if (increment === 0) this.#faults.ofStream(stream, http2Error.protocolError, 'WINDOW_UPDATE by 0');
    else if (!this.#streams.sender.grow(stream.sending, increment)) {
      this.#faults.ofStream(stream, http2Error.flowControlError, 'WINDOW_UPDATE beyond any window');
    }
  }

  streamError(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return this.#faults.ofStream(stream, code, 'a faulty frame');
    // RST_STREAM on an idle stream would break the protocol on our side.
    if (this.#role.isIdle(streamId)) {
      throw new Http2ConnectionError(code, 'a faulty frame on an idle stream');
    }
    this.#faults.ofUnknown(streamId, code);
  }

  #deliver(stream: S, source: Buffer, start: number, end: number): void {
    if (stream.closed) return;
    const bytes = end - start;
    if (stream.bodyBytesLeft >= 0) {
      if (bytes > stream.bodyBytesLeft) {
        return this.#faults.ofStream(
          stream,
          http2Error.protocolError,
          'a body longer than its content-length',
        );
      }
      stream.bodyBytesLeft -= bytes;
    }
    stream.deliver(bytes === source.length ? source : source.subarray(start, end));
    this.#streams.taken(stream, bytes);
  }

  #dataOnClosed(streamId: number): void {
    this.#refuseIdle(streamId, 'DATA');
    if (!this.#streams.wasReset(streamId)) this.#faults.ofUnknown(streamId, http2Error.streamClosed);
  }

  #refuseIdle(streamId: number, frame: string): void {
    if (this.#role.isIdle(streamId)) throw broken(`${frame} on an idle stream`);
  }
}
