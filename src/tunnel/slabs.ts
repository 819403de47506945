/**
 * Buffers into which sessions gather what they send, and where the bytes lie that must wait before that. A slab is held
 * only while there is something in it, so an idle connection holds none, and all sessions of a thread share the few
 * that are kept.
 */

/** Of output: eight full TLS records. With more the memory of streams that are stuck would grow. */
export const slabBytes = 128 * 1024;
/** Of a stream's queue: what it may hold before its origin is stopped. Most hold less than that. */
export const queueSlabBytes = 64 * 1024;

export interface Slab {
  readonly buffer: Buffer;
  /** Bytes written into it so far. */
  used: number;
  /** Bytes from its beginning that were sent, or given to the socket. */
  given: number;
}

/** Slabs of one size that can be used again. What is given back beyond `most` is left to the garbage collector. */
class SlabPool {
  readonly #bytes: number;
  readonly #most: number;
  readonly #free: Slab[] = [];

  constructor(bytes: number, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  take(): Slab {
    return this.#free.pop() ?? { buffer: Buffer.allocUnsafeSlow(this.#bytes), used: 0, given: 0 };
  }

  /** The caller has no further use for any byte of it, and nor has any socket. */
  giveBack(slab: Slab): void {
    if (this.#free.length >= this.#most || slab.buffer.length !== this.#bytes) return;
    slab.used = 0;
    slab.given = 0;
    this.#free.push(slab);
  }
}

/** The thread's. Each keeps 2 MiB at most. */
export const outputSlabs = new SlabPool(slabBytes, 16);
export const queueSlabs = new SlabPool(queueSlabBytes, 32);

/** Pieces from here on are worth a buffer of their own. */
const leastOwnBytes = 256;
/** So much room at most is left for more behind a piece that is smaller. */
const mostSpareBytes = 4096;

/**
 * One that is not kept, for `wanted` bytes behind `waitingBytes` others. What comes in small pieces doubles its room: each
 * buffer takes a hundred bytes by itself, and a peer may send its bytes one by one. A larger piece has none to spare, which
 * would only cut the next one in two.
 */
export function slabBehind(waitingBytes: number, wanted: number): Slab {
  const bytes = wanted < leastOwnBytes ? Math.max(wanted, Math.min(waitingBytes, mostSpareBytes)) : wanted;
  return { buffer: Buffer.allocUnsafe(bytes), used: 0, given: 0 };
}

/**
 * Copies bytes behind the `waitingBytes` that lie in the slabs, then into further ones, which `next` gives for what is left
 * behind so many.
 */
export function appendTo(
  slabs: Slab[],
  waitingBytes: number,
  bytes: Uint8Array,
  next: (waitingBytes: number, wanted: number) => Slab,
): void {
  for (let from = 0; from < bytes.length; ) {
    let last = slabs.at(-1);
    if (last === undefined || last.used === last.buffer.length) {
      last = next(waitingBytes + from, bytes.length - from);
      slabs.push(last);
    }
    const taken = Math.min(bytes.length - from, last.buffer.length - last.used);
    last.buffer.set(taken === bytes.length ? bytes : bytes.subarray(from, from + taken), last.used);
    last.used += taken;
    from += taken;
  }
}
