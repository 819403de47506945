import { type Decoded, decoded, MalformedError } from './malformed.ts';

/**
 * Cap'n Proto stream framing (encoding spec, "Serialization over a stream"): u32 segment count − 1, one u32 size
 * in words per segment, padding to a word, the segments. Unpacked. Little-endian.
 */

export const wordBytes = 8;

/** Largest message we accept, header included. The registration interface stays far below it. */
export const maxMessageBytes = 64 * 1024;

/** Most segments of one message. Peers send one; far pointers are rare and never need this many. */
const maxSegments = 64;

/** Puts the frame header in front of a single segment. */
export function frameSegment(segment: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(wordBytes + segment.byteLength);
  frame.writeUInt32LE(0, 0);
  frame.writeUInt32LE(segment.byteLength / wordBytes, 4);
  frame.set(segment, wordBytes);
  return frame;
}

/** The segments of one complete frame, as views into it. Throws `MalformedError`. */
export function segmentsOf(frame: Buffer): Buffer[] {
  const frameBytes = completeFrameBytes(frame, frame.length);
  if (frameBytes !== frame.length) throw new MalformedError(`a frame of ${frame.length} bytes is not whole`);
  const count = frame.readUInt32LE(0) + 1;
  const segments: Buffer[] = [];
  let start = headerBytes(count);
  for (let index = 0; index < count; index++) {
    const end = start + frame.readUInt32LE(4 + 4 * index) * wordBytes;
    segments.push(frame.subarray(start, end));
    start = end;
  }
  return segments;
}

/**
 * Cuts a byte stream into whole frames. A chunk may hold several frames, and a frame may span chunks. Holds at
 * most one message of `limitBytes`; what exceeds that is refused as soon as the header says so.
 */
export class Reframer {
  readonly #limitBytes: number;
  #pending: Buffer = Buffer.alloc(1024);
  #length = 0;

  constructor(limitBytes: number = maxMessageBytes) {
    this.#limitBytes = limitBytes;
  }

  /** The frames completed by `chunk` (copies). After a malformed one the stream is not to be used any more. */
  push(chunk: Uint8Array): Decoded<readonly Buffer[]> {
    return decoded(() => {
      const frames: Buffer[] = [];
      let rest = chunk;
      while (rest.length > 0) {
        const room = Math.min(rest.length, this.#limitBytes - this.#length);
        this.#append(rest.subarray(0, room));
        rest = rest.subarray(room);
        this.#takeFrames(frames);
      }
      return frames;
    });
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#pending.length) {
      const grown = Buffer.alloc(Math.min(this.#limitBytes, Math.max(needed, this.#pending.length * 2)));
      this.#pending.copy(grown, 0, 0, this.#length);
      this.#pending = grown;
    }
    this.#pending.set(bytes, this.#length);
    this.#length = needed;
  }

  #takeFrames(frames: Buffer[]): void {
    let start = 0;
    for (;;) {
      const frameBytes = completeFrameBytes(this.#pending.subarray(start, this.#length), this.#limitBytes);
      if (frameBytes === null) break;
      frames.push(Buffer.from(this.#pending.subarray(start, start + frameBytes)));
      start += frameBytes;
    }
    this.#pending.copyWithin(0, start, this.#length);
    this.#length -= start;
  }
}

/** Length of the frame at the start of `bytes`; null while it is not all there. */
function completeFrameBytes(bytes: Buffer, limitBytes: number): number | null {
  if (bytes.length < 4) return null;
  const count = bytes.readUInt32LE(0) + 1;
  if (count > maxSegments)
    throw new MalformedError(`a message has ${count} segments, at most ${maxSegments}`);
  let total = headerBytes(count);
  if (bytes.length < total) return null;
  for (let index = 0; index < count; index++) total += bytes.readUInt32LE(4 + 4 * index) * wordBytes;
  if (total > limitBytes) throw new MalformedError(`a message has ${total} bytes, at most ${limitBytes}`);
  return bytes.length < total ? null : total;
}

function headerBytes(segmentCount: number): number {
  return Math.ceil((4 + 4 * segmentCount) / wordBytes) * wordBytes;
}
