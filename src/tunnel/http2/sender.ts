import type { Output } from '../output.ts';
import { slabBytes } from '../slabs.ts';
import { defaultWindowBytes, maxWindowBytes } from '../wire/flow-window.ts';
import { HpackEncoder } from '../wire/hpack-encoder.ts';
import {
  defaultMaxFrameBytes,
  frameFlag,
  frameHeaderBytes,
  frameType,
  writeFrameHeader,
} from '../wire/http2-frames.ts';
import { headersFit } from '../wire/http2-header-bounds.ts';
import type { Http2Limits } from '../wire/http2-limits.ts';
import { SendQueue } from './send-queue.ts';

/** Header blocks that may be longer than what every peer takes as one frame are encoded in a buffer of their own. */
const gatheredHeadersBytes = defaultMaxFrameBytes;
/** A queue that was too long counts as drained from here on. */
const drainedQueueBytes = 16 * 1024;

/** Who is told how one stream's sending goes on. */
export interface SendingOwner {
  /** The queue is short again after a `write` that answered false. */
  drained(): void;
  /** END_STREAM was framed: this direction is over. */
  sent(): void;
}

/** The sending half of one stream: its window and what waits for it. Owned by the stream, moved by the sender. */
export class SendingHalf {
  readonly id: number;
  readonly owner: SendingOwner;
  window: number;
  readonly queue = new SendQueue();
  /** The last byte was queued; END_STREAM (with `trailers`) follows the queue. */
  ended = false;
  trailers: readonly string[] | null = null;
  /** END_STREAM or RST_STREAM was framed, or the connection is gone. */
  done = false;
  /** In the sender's ring. */
  waiting = false;
  wantsDrain = false;
  /** Where the last frame's header is, for END_STREAM to be set on it, as of `output.flushes`. */
  lastFrameAt = 0;
  lastFrameEpoch = -1;

  constructor(id: number, owner: SendingOwner, window: number) {
    this.id = id;
    this.owner = owner;
    this.window = window;
  }
}

/**
 * Frames what the streams of one connection send: directly while windows and socket have room, else from their
 * queues, one frame each in turn.
 */
export class Sender {
  readonly #output: Output;
  readonly #encoder = new HpackEncoder();
  readonly #queueBytes: number;
  readonly #dataFramed: () => void;
  #window = defaultWindowBytes;
  #initialWindow = defaultWindowBytes;
  #maxFrameBytes = defaultMaxFrameBytes;
  #maxHeaderListBytes: number | null = null;
  /** Streams with something to send and window to send it, in the order of their turns. */
  #ring: SendingHalf[] = [];
  /** Of those in the ring, how many were dropped. */
  #dropped = 0;

  constructor(output: Output, limits: Pick<Http2Limits, 'streamQueueBytes'>, dataFramed: () => void) {
    this.#output = output;
    this.#queueBytes = limits.streamQueueBytes;
    this.#dataFramed = dataFramed;
  }

  open(id: number, owner: SendingOwner): SendingHalf {
    return new SendingHalf(id, owner, this.#initialWindow);
  }

  /** HEADERS. `status` 0 is "none" (trailers). */
  headers(half: SendingHalf, status: number, headers: readonly string[], end: boolean): void {
    const bound = HpackEncoder.maxBytes(headers);
    const endFlag = end ? frameFlag.endStream : 0;
    if (bound > gatheredHeadersBytes) {
      half.lastFrameEpoch = -1;
      this.#longHeaders(half.id, status, headers, bound, endFlag);
    } else {
      const at = this.#output.reserve(frameHeaderBytes + bound);
      const slab = this.#output.slab;
      const from = at + frameHeaderBytes;
      const bytes = this.#encoder.encode(status, headers, slab, from) - from;
      writeFrameHeader(slab, at, bytes, frameType.headers, frameFlag.endHeaders | endFlag, half.id);
      this.#note(half, at);
      this.#output.commit(frameHeaderBytes + bytes);
    }
    if (end) this.#finished(half);
  }

  /** False when the queue is long: `drained` is called once it is short. */
  write(half: SendingHalf, bytes: Uint8Array): boolean {
    let from = 0;
    if (half.queue.bytes === 0) {
      while (from < bytes.length) {
        const taken = this.#dataBytes(half, bytes.length - from);
        if (taken === 0) break;
        this.#data(half, bytes, from, taken, false);
        from += taken;
      }
      if (from === bytes.length) return true;
    }
    half.queue.push(from === 0 ? bytes : bytes.subarray(from));
    this.#await(half);
    if (half.queue.bytes <= this.#queueBytes) return true;
    half.wantsDrain = true;
    return false;
  }

  end(half: SendingHalf, trailers: readonly string[] | null): void {
    half.ended = true;
    half.trailers = trailers;
    if (half.queue.bytes === 0) this.#endStream(half);
  }

  /** Forgets what is queued. The caller says why to the peer. */
  drop(half: SendingHalf): void {
    half.done = true;
    half.queue.clear();
    if (half.waiting) this.#forget();
  }

  /** A peer that opens no window must not make the ring grow by streams that are gone. */
  #forget(): void {
    this.#dropped += 1;
    if (this.#dropped * 2 <= this.#ring.length) return;
    this.#ring = this.#ring.filter((half) => !half.done);
    this.#dropped = 0;
  }

  /** A WINDOW_UPDATE for a stream, or with null for the connection. False: the window grew too large. */
  grow(half: SendingHalf | null, increment: number): boolean {
    if (half === null) {
      this.#window += increment;
      if (this.#window > maxWindowBytes) return false;
    } else {
      half.window += increment;
      if (half.window > maxWindowBytes) return false;
      this.#await(half);
    }
    this.pump();
    return true;
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, section 6.9.2): windows may become negative. */
  setInitialWindow(bytes: number, halves: Iterable<SendingHalf>): boolean {
    const change = bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    for (const half of halves) {
      half.window += change;
      if (half.window > maxWindowBytes) return false;
      this.#await(half);
    }
    return true;
  }

  /** Whether the socket was not given what was gathered in that epoch of the output. */
  holds(epoch: number): boolean {
    return epoch === this.#output.flushes;
  }

  setMaxFrameBytes(bytes: number): void {
    this.#maxFrameBytes = bytes;
  }

  setMaxHeaderListBytes(bytes: number): void {
    this.#maxHeaderListBytes = bytes;
  }

  takes(headers: readonly string[]): boolean {
    return headersFit(headers, this.#maxHeaderListBytes);
  }

  setPeerTableBytes(bytes: number): void {
    this.#encoder.setPeerTableBytes(bytes);
  }

  /** Sends from the queues what windows and socket allow. */
  pump(): void {
    if (this.#ring.length === 0) return;
    const drained: SendingHalf[] = [];
    while (this.#ring.length > 0 && this.#window > 0 && !this.#output.full) {
      const half = this.#ring.shift()!;
      half.waiting = false;
      if (half.done) {
        this.#dropped -= 1;
        continue;
      }
      this.#takeTurn(half);
      this.#await(half);
      if (half.wantsDrain && half.queue.bytes <= drainedQueueBytes) {
        half.wantsDrain = false;
        drained.push(half);
      }
    }
    for (const half of drained) {
      if (!half.done && !half.ended) half.owner.drained();
    }
  }

  /** One frame from the queue's head. */
  #takeTurn(half: SendingHalf): void {
    const head = half.queue.head;
    const taken = this.#dataBytes(half, head.length);
    if (taken === 0) return;
    const last = half.queue.bytes === taken && half.ended;
    const endsHere = last && half.trailers === null;
    this.#data(half, head, 0, taken, endsHere);
    half.queue.took(taken);
    if (endsHere) this.#finished(half);
    else if (last) this.#endStream(half);
  }

  /** Puts a stream into the ring if it has something to send and window for it. */
  #await(half: SendingHalf): void {
    if (half.waiting || half.done || half.queue.bytes === 0 || half.window <= 0) return;
    half.waiting = true;
    this.#ring.push(half);
  }

  /** How much of `wanted` can be one DATA frame now: no more than fills a slab, so that slabs go out full. */
  #dataBytes(half: SendingHalf, wanted: number): number {
    const room = this.#output.room - frameHeaderBytes;
    const bytes = Math.min(wanted, half.window, this.#window, this.#maxFrameBytes, room);
    return bytes <= 0 || this.#output.full ? 0 : bytes;
  }

  #data(half: SendingHalf, source: Uint8Array, start: number, bytes: number, end: boolean): void {
    const output = this.#output;
    const at = output.reserve(frameHeaderBytes + bytes);
    writeFrameHeader(output.slab, at, bytes, frameType.data, end ? frameFlag.endStream : 0, half.id);
    this.#note(half, at);
    half.window -= bytes;
    this.#window -= bytes;
    const whole = start === 0 && bytes === source.length;
    output.slab.set(whole ? source : source.subarray(start, start + bytes), at + frameHeaderBytes);
    output.commit(frameHeaderBytes + bytes);
    this.#dataFramed();
  }

  #endStream(half: SendingHalf): void {
    if (half.trailers !== null) {
      this.headers(half, 0, half.trailers, true);
      return;
    }
    if (!this.#output.endStreamAt(half.lastFrameAt, half.lastFrameEpoch)) {
      const at = this.#output.reserve(frameHeaderBytes);
      writeFrameHeader(this.#output.slab, at, 0, frameType.data, frameFlag.endStream, half.id);
      this.#output.commit(frameHeaderBytes);
    }
    this.#finished(half);
  }

  #finished(half: SendingHalf): void {
    half.done = true;
    half.owner.sent();
  }

  #note(half: SendingHalf, at: number): void {
    half.lastFrameAt = at;
    half.lastFrameEpoch = this.#output.flushes;
  }

  /** HEADERS and as many CONTINUATION as the peer's frame size asks for (RFC 9113, section 4.3). */
  #longHeaders(id: number, status: number, headers: readonly string[], bound: number, endFlag: number): void {
    const block = Buffer.allocUnsafe(bound);
    const bytes = this.#encoder.encode(status, headers, block, 0);
    const piece = Math.min(this.#maxFrameBytes, slabBytes - frameHeaderBytes);
    for (let from = 0; from === 0 || from < bytes; from += piece) {
      const taken = Math.min(piece, bytes - from);
      const flags = from + taken >= bytes ? frameFlag.endHeaders : 0;
      const at = this.#output.reserve(frameHeaderBytes + taken);
      if (from === 0) writeFrameHeader(this.#output.slab, at, taken, frameType.headers, flags | endFlag, id);
      else writeFrameHeader(this.#output.slab, at, taken, frameType.continuation, flags, id);
      this.#output.slab.set(block.subarray(from, from + taken), at + frameHeaderBytes);
      this.#output.commit(frameHeaderBytes + taken);
    }
  }
}
