import type { Socket } from 'node:net';
import { giveBackSlab, type Slab, slabBytes, takeSlab } from './http2-slabs.ts';
import { flagsOffset, frameFlag } from './wire/http2-frames.ts';

/** With this much gathered, the socket gets it without waiting for the end of the turn. */
const flushAtBytes = 128 * 1024;
/** With less than this left, a slab is not gathered into any more. */
const leastSlabRoom = 1024;

/**
 * Gathers frames and gives them to the socket in one write per turn of the event loop: the answers of many
 * streams leave in one system call and as few TLS records as possible. Small frames are copied into a slab,
 * large payloads go by reference. Owns nothing of the socket but its writing side.
 */
export class Output {
  readonly #socket: Socket;
  readonly #highWaterBytes: number;
  /** There is room again after `full`. */
  readonly #drained: () => void;
  #slab: Slab | null = null;
  /** From here on the slab's bytes are not in `#parts` yet. */
  #sliceStart = 0;
  #parts: Uint8Array[] = [];
  #gatheredBytes = 0;
  #inFlightBytes = 0;
  #wasFull = false;
  #immediate: NodeJS.Immediate | null = null;
  #flushes = 0;
  #closed = false;

  constructor(socket: Socket, highWaterBytes: number, drained: () => void) {
    this.#socket = socket;
    this.#highWaterBytes = highWaterBytes;
    this.#drained = drained;
  }

  /** Bytes that the socket has not taken yet. */
  get unsentBytes(): number {
    return this.#gatheredBytes + this.#inFlightBytes;
  }

  /** So much is unsent that no more DATA should be framed until `drained`. */
  get full(): boolean {
    if (this.#gatheredBytes + this.#inFlightBytes < this.#highWaterBytes) return false;
    this.#wasFull = true;
    return true;
  }

  /** Changes whenever gathered bytes leave: marks until when a frame can still be changed. */
  get flushes(): number {
    return this.#flushes;
  }

  /**
   * Room for `bytes` (at most `slabBytes`) in one piece, to be written into `slab` and then committed, before
   * anything else is called.
   */
  reserve(bytes: number): number {
    if (this.#slab !== null && this.#slab.used + bytes > slabBytes) {
      this.flush();
      this.#leaveSlab();
    }
    if (this.#slab === null) {
      this.#slab = takeSlab();
      this.#sliceStart = 0;
    }
    return this.#slab.used;
  }

  /** The buffer that `reserve` answered an offset of. */
  get slab(): Buffer {
    return this.#slab!.buffer;
  }

  commit(bytes: number): void {
    this.#slab!.used += bytes;
    this.#gathered(bytes);
  }

  /** Sends `bytes` behind what was committed, without a copy: they must not change until they are sent. */
  reference(bytes: Uint8Array): void {
    this.#cutSlice();
    this.#parts.push(bytes);
    this.#gathered(bytes.length);
  }

  /** Copies a small frame. */
  frame(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.slab.set(bytes, at);
    this.commit(bytes.length);
  }

  /** Sets END_STREAM on the frame whose header is at `at`, if it has not left since `flushes` was `epoch`. */
  endStreamAt(at: number, epoch: number): boolean {
    if (epoch !== this.#flushes) return false;
    this.slab[at + flagsOffset]! |= frameFlag.endStream;
    return true;
  }

  flush(): void {
    if (this.#immediate !== null) {
      clearImmediate(this.#immediate);
      this.#immediate = null;
    }
    this.#cutSlice();
    const parts = this.#parts;
    const slab = this.#slab;
    if (parts.length === 0 || this.#closed) return;
    const bytes = this.#gatheredBytes;
    this.#parts = [];
    this.#gatheredBytes = 0;
    this.#inFlightBytes += bytes;
    this.#flushes += 1;
    if (slab !== null) {
      slab.inFlight += 1;
      if (slabBytes - slab.used < leastSlabRoom) this.#slab = null;
    }
    const written = (): void => this.#written(slab, bytes);
    if (parts.length === 1) {
      this.#socket.write(parts[0]!, written);
      return;
    }
    this.#socket.cork();
    const last = parts.length - 1;
    for (let i = 0; i < last; i++) this.#socket.write(parts[i]!);
    this.#socket.write(parts[last]!, written);
    this.#socket.uncork();
  }

  /** Nothing is written any more. What is in flight stays where it is: the socket may still read it. */
  close(): void {
    this.#closed = true;
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#immediate = null;
    this.#parts = [];
    this.#gatheredBytes = 0;
    if (this.#slab !== null && this.#slab.inFlight === 0) giveBackSlab(this.#slab);
    this.#slab = null;
  }

  #gathered(bytes: number): void {
    this.#gatheredBytes += bytes;
    if (this.#gatheredBytes >= flushAtBytes) this.flush();
    else if (this.#immediate === null) this.#immediate = setImmediate(this.#flushNow);
  }

  readonly #flushNow = (): void => {
    this.#immediate = null;
    this.flush();
  };

  #cutSlice(): void {
    const slab = this.#slab;
    if (slab === null || slab.used === this.#sliceStart) return;
    this.#parts.push(slab.buffer.subarray(this.#sliceStart, slab.used));
    this.#sliceStart = slab.used;
  }

  #leaveSlab(): void {
    const slab = this.#slab;
    this.#slab = null;
    if (slab !== null && slab.inFlight === 0) giveBackSlab(slab);
  }

  #written(slab: Slab | null, bytes: number): void {
    this.#inFlightBytes -= bytes;
    if (this.#closed) return;
    if (slab !== null && --slab.inFlight === 0) {
      if (slab !== this.#slab) giveBackSlab(slab);
      else if (slab.used === this.#sliceStart && this.#parts.length === 0) this.#leaveSlab();
    }
    if (this.#wasFull && this.unsentBytes <= this.#highWaterBytes / 2) {
      this.#wasFull = false;
      this.#drained();
    }
  }
}
