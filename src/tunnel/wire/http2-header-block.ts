import { broken, flooded, wrongSize } from './http2-errors.ts';
import { frameFlag, readUint32 } from './http2-frames.ts';
import type { Http2Limits } from './http2-limits.ts';

export interface HeaderBlockSink {
  /** One whole header block. `selfDependent`: its priority names the stream itself. */
  headers(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    source: Buffer,
    start: number,
    end: number,
  ): void;
}

export type HeaderBlockLimits = Pick<Http2Limits, 'maxHeaderBlockBytes' | 'maxContinuations'>;

/**
 * Puts HEADERS and its CONTINUATION frames together (RFC 9113, sections 4.3 and 6.10). A block in one frame, which
 * is nearly every one, is told where it lies; only longer ones are copied.
 */
export class HeaderBlock {
  readonly #sink: HeaderBlockSink;
  readonly #limits: HeaderBlockLimits;
  #streamId = 0;
  #endStream = false;
  #selfDependent = false;
  #parts: Buffer[] = [];
  #bytes = 0;
  #continuations = 0;

  constructor(sink: HeaderBlockSink, limits: HeaderBlockLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  /** The stream whose block waits for CONTINUATION, 0 if none does. */
  get streamId(): number {
    return this.#streamId;
  }

  /** A HEADERS frame of that length comes. */
  expect(bytes: number): void {
    this.#bytes = 0;
    this.#continuations = 0;
    this.#grow(bytes);
  }

  /** A CONTINUATION frame of that length comes. */
  expectMore(bytes: number): void {
    this.#continuations += 1;
    if (this.#continuations > this.#limits.maxContinuations) throw flooded('CONTINUATION frames');
    this.#grow(bytes);
  }

  headers(streamId: number, flags: number, source: Buffer, from: number, to: number): void {
    let start = from;
    let end = to;
    if ((flags & frameFlag.padded) !== 0) {
      if (start >= end) throw wrongSize('padded HEADERS', 0, '1 or more');
      end -= source[start]!;
      start += 1;
    }
    let selfDependent = false;
    if ((flags & frameFlag.priority) !== 0) {
      if (to - start < 5) throw wrongSize('HEADERS with priority', to - from, '5 or more');
      selfDependent = (readUint32(source, start) & 0x7fffffff) === streamId;
      start += 5;
    }
    if (start > end) throw broken('HEADERS with more padding than payload');
    this.#streamId = streamId;
    this.#endStream = (flags & frameFlag.endStream) !== 0;
    this.#selfDependent = selfDependent;
    this.continuation(flags, source, start, end);
  }

  continuation(flags: number, source: Buffer, start: number, end: number): void {
    if ((flags & frameFlag.endHeaders) === 0) {
      // A copy: the chunk it lies in is not ours after this call.
      if (end > start) this.#parts.push(Buffer.from(source.subarray(start, end)));
      return;
    }
    const streamId = this.#streamId;
    this.#streamId = 0;
    if (this.#parts.length === 0) {
      this.#sink.headers(streamId, this.#endStream, this.#selfDependent, source, start, end);
      return;
    }
    const block = Buffer.concat([...this.#parts, source.subarray(start, end)]);
    this.drop();
    this.#sink.headers(streamId, this.#endStream, this.#selfDependent, block, 0, block.length);
  }

  /** Forgets what was gathered. */
  drop(): void {
    this.#streamId = 0;
    this.#parts = [];
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.maxHeaderBlockBytes) throw flooded('bytes of one header block');
  }
}
