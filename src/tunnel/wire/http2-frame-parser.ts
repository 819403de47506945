import { broken, flooded, Http2ConnectionError, http2Error, wrongSize } from './http2-errors.ts';
import { clientPreface, frameFlag, frameHeaderBytes, frameType, readUint32 } from './http2-frames.ts';
import { HeaderBlock, type HeaderBlockLimits, type HeaderBlockSink } from './http2-header-block.ts';
import type { Http2Limits } from './http2-limits.ts';

/**
 * What a parser tells, in the order of the bytes. Buffers are valid during the call only. Lengths, stream 0 and
 * the order of header block frames were checked; what depends on the state of a stream was not.
 */
export interface FrameSink extends HeaderBlockSink {
  /** The client preface is complete. */
  preface(): void;
  /** A DATA frame begins; `flowBytes` counts against the windows. False: its payload is thrown away. */
  dataBegins(streamId: number, flowBytes: number, endStream: boolean): boolean;
  /** A piece of its payload without padding, as it arrived: `source[start, end)`, never empty. */
  dataPiece(source: Buffer, start: number, end: number): void;
  /** The DATA frame is complete. Only after a `dataBegins` that answered true. */
  dataEnds(endStream: boolean): void;
  /** PRIORITY, or a frame of a type that we do not know: nothing to do but count it. */
  ignored(): void;
  streamReset(streamId: number, code: number): void;
  /** `source[start, end)` is a list of settings, six bytes each. */
  settings(source: Buffer, start: number, end: number): void;
  settingsAck(): void;
  /** The eight bytes from `start`. */
  pinged(ack: boolean, source: Buffer, start: number): void;
  goneAway(lastStreamId: number, code: number): void;
  windowUpdate(streamId: number, increment: number): void;
  /** The frame broke a rule that concerns its stream alone. */
  streamError(streamId: number, code: number): void;
}

export type ParserLimits = HeaderBlockLimits & Pick<Http2Limits, 'maxFrameBytes' | 'maxSettingsPerFrame'>;

const state = { preface: 0, header: 1, padLength: 2, data: 3, skip: 4, payload: 5, stopped: 6 } as const;
/** A frame that was answered when its header was read; its payload is skipped. */
const forgottenType = -1;
const prefaceBytes = Buffer.from(clientPreface, 'latin1');

/**
 * Cuts the bytes of one connection into frames, from a client behind its preface. Frames may lie
 * across any number of chunks. DATA goes on piece by piece; of other frames only one that straddles a chunk is
 * copied, at most `maxFrameBytes`. Throws `Http2ConnectionError` and nothing else of its own.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #limits: ParserLimits;
  #state: number;
  /** Bytes of the preface, the frame header or the payload that came in earlier chunks. */
  #filled = 0;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #partial: Buffer | null = null;

  #length = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** The first frame must be SETTINGS (RFC 9113, section 3.4). */
  #settingsSeen = false;
  /** Of the DATA frame that is being read. */
  #dataLeft = 0;
  #paddingLeft = 0;

  readonly #block: HeaderBlock;

  constructor(sink: FrameSink, limits: ParserLimits, peer: 'client' | 'server') {
    this.#sink = sink;
    this.#limits = limits;
    this.#state = peer === 'client' ? state.preface : state.header;
    this.#block = new HeaderBlock(sink, limits);
  }

  /** A header block has begun and is not complete. */
  get inHeaderBlock(): boolean {
    return this.#block.streamId !== 0 || (this.#state === state.payload && this.#type === frameType.headers);
  }

  /** Nothing is told any more, also not of the chunk that is being read. */
  stop(): void {
    this.#state = state.stopped;
    this.#partial = null;
    this.#block.drop();
  }

  push(chunk: Buffer): void {
    let at = 0;
    const end = chunk.length;
    while (at < end) {
      switch (this.#state) {
        case state.header:
          if (this.#filled === 0 && end - at >= frameHeaderBytes) {
            at = this.#frameBegins(chunk, at, chunk, at + frameHeaderBytes);
          } else {
            const taken = Math.min(frameHeaderBytes - this.#filled, end - at);
            chunk.copy(this.#header, this.#filled, at, at + taken);
            this.#filled += taken;
            at += taken;
            if (this.#filled < frameHeaderBytes) return;
            this.#filled = 0;
            at = this.#frameBegins(this.#header, 0, chunk, at);
          }
          break;
        case state.data: {
          const taken = Math.min(this.#dataLeft, end - at);
          this.#dataLeft -= taken;
          this.#sink.dataPiece(chunk, at, at + taken);
          at += taken;
          if (this.#dataLeft === 0) this.#dataReadToPadding();
          break;
        }
        case state.padLength:
          this.#padLength(chunk[at++]!);
          break;
        case state.skip: {
          const taken = Math.min(this.#paddingLeft, end - at);
          this.#paddingLeft -= taken;
          at += taken;
          if (this.#paddingLeft === 0) this.#skipped();
          break;
        }
        case state.payload: {
          const partial = this.#partial!;
          const taken = Math.min(this.#length - this.#filled, end - at);
          chunk.copy(partial, this.#filled, at, at + taken);
          this.#filled += taken;
          at += taken;
          if (this.#filled < this.#length) return;
          this.#filled = 0;
          this.#partial = null;
          this.#state = state.header;
          this.#payload(partial, 0, this.#length);
          break;
        }
        case state.preface:
          at = this.#preface(chunk, at);
          break;
        default:
          return;
      }
    }
  }

  #preface(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#filled < prefaceBytes.length) {
      if (chunk[at++] !== prefaceBytes[this.#filled++]) {
        throw new Http2ConnectionError(http2Error.protocolError, 'the client preface is wrong');
      }
    }
    if (this.#filled === prefaceBytes.length) {
      this.#filled = 0;
      this.#state = state.header;
      this.#sink.preface();
    }
    return at;
  }

  /** The frame header is `source[at, at + 9)`, its payload begins at `chunk[from]`. Answers where to go on. */
  #frameBegins(source: Buffer, at: number, chunk: Buffer, from: number): number {
    const length = (source[at]! << 16) | (source[at + 1]! << 8) | source[at + 2]!;
    const type = source[at + 3]!;
    this.#length = length;
    this.#type = type;
    this.#flags = source[at + 4]!;
    this.#streamId = readUint32(source, at + 5) & 0x7fffffff;
    if (length > this.#limits.maxFrameBytes) {
      throw new Http2ConnectionError(
        http2Error.frameSizeError,
        `a frame of ${length} bytes, expected at most ${this.#limits.maxFrameBytes}`,
      );
    }
    if (!this.#settingsSeen) {
      if (type !== frameType.settings || this.#flags & frameFlag.ack)
        throw broken('the first frame is not SETTINGS');
      this.#settingsSeen = true;
    }
    if (this.#block.streamId !== 0) {
      if (type !== frameType.continuation || this.#streamId !== this.#block.streamId) {
        throw broken('a header block is interrupted by another frame');
      }
    }
    if (type === frameType.data) {
      this.#dataFrame();
      return from;
    }
    const kept = this.#keptBytes();
    if (this.#state === state.stopped) return chunk.length;
    if (kept === 0 && length > 0) {
      this.#paddingLeft = length;
      this.#state = state.skip;
      return from;
    }
    if (chunk.length - from >= length) {
      this.#payload(chunk, from, from + length);
      return from + length;
    }
    this.#partial = Buffer.allocUnsafe(length);
    this.#state = state.payload;
    return from;
  }

  /** How much of the payload is needed, after its length was checked; 0 when none is. */
  #keptBytes(): number {
    const length = this.#length;
    const onStream = this.#streamId !== 0;
    switch (this.#type) {
      case frameType.headers:
        if (!onStream) throw broken('HEADERS on stream 0');
        this.#block.expect(length);
        return length;
      case frameType.continuation:
        if (this.#block.streamId === 0) throw broken('CONTINUATION without HEADERS');
        this.#block.expectMore(length);
        return length;
      case frameType.priority:
        if (!onStream) throw broken('PRIORITY on stream 0');
        if (length === 5) return length;
        this.#type = forgottenType;
        this.#sink.streamError(this.#streamId, http2Error.frameSizeError);
        return 0;
      case frameType.rstStream:
        if (!onStream) throw broken('RST_STREAM on stream 0');
        if (length !== 4) throw wrongSize('RST_STREAM', length, '4');
        return length;
      case frameType.settings:
        if (onStream) throw broken('SETTINGS on a stream');
        if ((this.#flags & frameFlag.ack) !== 0 && length !== 0) throw wrongSize('SETTINGS ACK', length, '0');
        if (length % 6 !== 0) throw wrongSize('SETTINGS', length, 'a multiple of 6');
        if (length > this.#limits.maxSettingsPerFrame * 6) throw flooded('settings in one frame');
        return length;
      case frameType.ping:
        if (onStream) throw broken('PING on a stream');
        if (length !== 8) throw wrongSize('PING', length, '8');
        return length;
      case frameType.goaway:
        if (onStream) throw broken('GOAWAY on a stream');
        if (length < 8) throw wrongSize('GOAWAY', length, '8 or more');
        return length;
      case frameType.windowUpdate:
        if (length !== 4) throw wrongSize('WINDOW_UPDATE', length, '4');
        return length;
      case frameType.pushPromise:
        // No client may push, and we allow no server to (RFC 9113, section 8.4).
        throw broken('PUSH_PROMISE');
      default:
        return 0;
    }
  }

  #dataFrame(): void {
    if (this.#streamId === 0) throw broken('DATA on stream 0');
    const endStream = (this.#flags & frameFlag.endStream) !== 0;
    this.#paddingLeft = 0;
    this.#dataLeft = this.#length;
    if ((this.#flags & frameFlag.padded) !== 0) {
      if (this.#length === 0) throw wrongSize('padded DATA', 0, '1 or more');
      this.#state = state.padLength;
    } else {
      this.#state = state.data;
    }
    if (!this.#sink.dataBegins(this.#streamId, this.#length, endStream)) {
      if (this.#state === state.stopped) return;
      // Of a stream that is gone: skipped, and nothing is told at its end.
      this.#type = forgottenType;
      this.#paddingLeft = this.#length;
      this.#state = this.#length === 0 ? state.header : state.skip;
    } else if (this.#state === state.data && this.#dataLeft === 0) {
      this.#dataReadToPadding();
    }
  }

  #padLength(padding: number): void {
    if (padding >= this.#length) throw broken('DATA with more padding than payload');
    this.#paddingLeft = padding;
    this.#dataLeft = this.#length - 1 - padding;
    if (this.#dataLeft > 0) this.#state = state.data;
    else this.#dataReadToPadding();
  }

  #dataReadToPadding(): void {
    if (this.#state === state.stopped) return;
    if (this.#paddingLeft > 0) this.#state = state.skip;
    else this.#skipped();
  }

  /** The end of a frame whose payload is not kept: DATA, one too long to care for, one of an unknown type. */
  #skipped(): void {
    this.#state = state.header;
    if (this.#type === frameType.data) this.#sink.dataEnds((this.#flags & frameFlag.endStream) !== 0);
    else if (this.#type > frameType.continuation) this.#sink.ignored();
  }

  #payload(source: Buffer, start: number, end: number): void {
    this.#state = state.header;
    const id = this.#streamId;
    switch (this.#type) {
      case frameType.headers:
        this.#block.headers(id, this.#flags, source, start, end);
        break;
      case frameType.continuation:
        this.#block.continuation(this.#flags, source, start, end);
        break;
      case frameType.priority:
        if ((readUint32(source, start) & 0x7fffffff) === id) {
          this.#sink.streamError(id, http2Error.protocolError);
        } else {
          this.#sink.ignored();
        }
        break;
      case frameType.rstStream:
        this.#sink.streamReset(id, readUint32(source, start));
        break;
      case frameType.settings:
        if ((this.#flags & frameFlag.ack) !== 0) this.#sink.settingsAck();
        else this.#sink.settings(source, start, end);
        break;
      case frameType.ping:
        this.#sink.pinged((this.#flags & frameFlag.ack) !== 0, source, start);
        break;
      case frameType.goaway:
        this.#sink.goneAway(readUint32(source, start) & 0x7fffffff, readUint32(source, start + 4));
        break;
      case frameType.windowUpdate:
        this.#sink.windowUpdate(id, readUint32(source, start) & 0x7fffffff);
        break;
      case forgottenType:
        break;
      default:
        this.#sink.ignored();
    }
  }
}
