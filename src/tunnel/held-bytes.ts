import { appendTo, type Slab, slabBehind } from './slabs.ts';

/** Bytes that wait for somebody to take them, copied, in few pieces also where they came one by one. */
export class HeldBytes {
  readonly #pieces: Slab[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Uint8Array): void {
    appendTo(this.#pieces, this.#bytes, bytes, slabBehind);
    this.#bytes += bytes.length;
  }

  /** The oldest ones, which are the caller's from here on. Only while there are `bytes`. */
  shift(): Buffer {
    const { buffer, used } = this.#pieces.shift()!;
    this.#bytes -= used;
    return buffer.subarray(0, used);
  }

  clear(): void {
    this.#pieces.length = 0;
    this.#bytes = 0;
  }

  /** As `push`, for what `shift` gave, here or elsewhere: it is not copied. */
  adopt(bytes: Buffer): void {
    this.#pieces.push({ buffer: bytes, used: bytes.length, given: 0 });
    this.#bytes += bytes.length;
  }
}
