/**
 * Buffers into which sessions gather what they send. A slab is held only from the first byte of a turn until the
 * socket has taken it, so an idle connection holds none, and all sessions of a thread share the few that are
 * kept.
 */

/** Eight full TLS records. With more the memory of streams that are stuck would grow. */
export const slabBytes = 128 * 1024;

/** At most 4 MiB of free slabs is kept per thread; more are left to the garbage collector. */
const maxFreeSlabs = 32;

export interface Slab {
  readonly buffer: Buffer;
  /** Bytes written into it so far. */
  used: number;
  /** Bytes from its beginning that the socket was given. */
  given: number;
}

const free: Slab[] = [];

export function takeSlab(): Slab {
  return free.pop() ?? { buffer: Buffer.allocUnsafeSlow(slabBytes), used: 0, given: 0 };
}

/** One for a few bytes, which is not kept. */
export function ownSlab(bytes: number): Slab {
  return { buffer: Buffer.allocUnsafe(bytes), used: 0, given: 0 };
}

/** The caller has no further use for any byte of it, and nor has any socket. */
export function giveBackSlab(slab: Slab): void {
  if (free.length >= maxFreeSlabs || slab.buffer.length !== slabBytes) return;
  slab.used = 0;
  slab.given = 0;
  free.push(slab);
}
