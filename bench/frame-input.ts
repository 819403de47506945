import { frameFlag, frameHeaderBytes, frameType, readUint32 } from '../src/tunnel/wire/http2-frames.ts';

export interface FrameHearer {
  /** A piece of a DATA frame's payload, as it came. */
  data(id: number, piece: Buffer): void;
  dataEnds(id: number, flags: number): void;
  /** Any other frame, whole. */
  frame(type: number, flags: number, id: number, payload: Buffer): void;
}

/** HTTP/2 frames of a peer that is trusted, from pieces of any size. DATA is passed on without a copy. */
export class FrameInput {
  readonly #hearer: FrameHearer;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerFilled = 0;
  #type = 0;
  #flags = 0;
  #id = 0;
  #left = 0;
  #parts: Buffer[] = [];

  constructor(hearer: FrameHearer) {
    this.#hearer = hearer;
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        const taken = Math.min(frameHeaderBytes - this.#headerFilled, chunk.length - at);
        chunk.copy(this.#header, this.#headerFilled, at, at + taken);
        this.#headerFilled += taken;
        at += taken;
        if (this.#headerFilled === frameHeaderBytes) this.#begin();
        continue;
      }
      const taken = Math.min(this.#left, chunk.length - at);
      const piece = chunk.subarray(at, at + taken);
      at += taken;
      this.#left -= taken;
      this.#payload(piece);
    }
  }

  #begin(): void {
    const header = this.#header;
    this.#headerFilled = 0;
    this.#left = (header[0]! << 16) | (header[1]! << 8) | header[2]!;
    this.#type = header[3]!;
    this.#flags = header[4]!;
    this.#id = readUint32(header, 5) & 0x7fffffff;
    if ((this.#flags & frameFlag.padded) !== 0 && this.#type <= frameType.headers) {
      throw new Error('the bench edge reads no padded frames');
    }
    if (this.#left === 0) this.#payload(noBytes);
  }

  #payload(piece: Buffer): void {
    if (this.#type === frameType.data) {
      if (piece.length > 0) this.#hearer.data(this.#id, piece);
      if (this.#left === 0) this.#hearer.dataEnds(this.#id, this.#flags);
      return;
    }
    if (this.#left > 0 || this.#parts.length > 0) {
      // A socket with shared reads takes the piece back after the call.
      this.#parts.push(Buffer.from(piece));
      if (this.#left > 0) return;
    }
    const whole = this.#parts.length === 0 ? piece : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#hearer.frame(this.#type, this.#flags, this.#id, whole);
  }
}

const noBytes = Buffer.alloc(0);
