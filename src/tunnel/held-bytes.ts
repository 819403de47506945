import { type Slab, slabBehind } from './slabs.ts';

/** Bytes that wait for somebody to take them, copied, in few pieces also where they came one by one. */
export class HeldBytes {
  readonly #pieces: Slab[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const last = this.#last(bytes.length - from);
      const taken = Math.min(bytes.length - from, last.buffer.length - last.used);
      last.buffer.set(taken === bytes.length ? bytes : bytes.subarray(from, from + taken), last.used);
      last.used += taken;
      this.#bytes += taken;
      from += taken;
    }
  }

  /** The oldest ones, which are the caller's from here on. Only while there are `bytes`. */
  shift(): Buffer {
    const { buffer, used } = this.#pieces.shift()!;
    this.#bytes -= used;
    return buffer.subarray(0, used);
  }

  /** As `push`, for what `shift` gave, here or elsewhere: it is not copied. */
  adopt(bytes: Buffer): void {
    this.#pieces.push({ buffer: bytes, used: bytes.length, given: 0 });
    this.#bytes += bytes.length;
  }

  /** Where the next bytes go. */
  #last(wanted: number): Slab {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.used < last.buffer.length) return last;
    const next = slabBehind(this.#bytes, wanted);
    this.#pieces.push(next);
    return next;
  }
}
