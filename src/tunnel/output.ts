import type { Socket } from 'node:net';
import type { HighWater } from './high-water.ts';
import { outputSlabs, type Slab, slabBytes } from './slabs.ts';
import { flagsOffset, frameFlag } from './wire/http2-frames.ts';

/** So many unsent bytes are enough for an origin. */
export const outputHighWaterBytes = 256 * 1024;
/** With less than this left, a slab is left for the next one. */
const leastSlabRoom = 1024;

/** Stands for what `sendAsItLies` gave to a socket. */
const lent: Slab = { buffer: Buffer.alloc(0), used: 0, given: 0 };

/**
 * Gathers frames and gives them to the socket once per turn of the event loop, or as soon as a slab is full: the
 * answers of many streams leave in one system call and as few TLS records as possible. Everything is copied into
 * slabs, and the socket has one piece of one slab at a time: Node.js encrypts a single buffer where it lies, but
 * copies several, and what waits in the socket itself, into a buffer that it allocates for them. Owns nothing of
 * the socket but its writing side.
 */
export class Output {
  readonly #socket: Socket;
  readonly #highWater: HighWater;
  /** There is room again after `full`. */
  readonly #drained: () => void;
  /** Full slabs that wait for the socket, oldest first. */
  readonly #waiting: Slab[] = [];
  /** What is being gathered into; its bytes up to `given` may be in the socket. */
  #slab: Slab | null = null;
  /** What the socket has a piece of, `#slab` itself or an older one. */
  #inSocket: Slab | null = null;
  #inSocketBytes = 0;
  #unsentBytes = 0;
  #wasFull = false;
  /** Taken by the socket since `#wasFull`. */
  #takenBytes = 0;
  #immediate: NodeJS.Immediate | null = null;
  #flushes = 0;
  #closed = false;

  constructor(socket: Socket, highWater: HighWater, drained: () => void) {
    this.#socket = socket;
    this.#highWater = highWater;
    this.#drained = drained;
  }

  /** Bytes that the socket has not taken yet. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** So much is unsent that no more DATA should be framed until `drained`. */
  get full(): boolean {
    if (this.#unsentBytes < this.#highWater.bytes) return false;
    if (!this.#wasFull) {
      this.#wasFull = true;
      this.#takenBytes = 0;
      this.#highWater.filled();
    }
    return true;
  }

  /** Changes whenever gathered bytes leave: marks until when a frame can still be changed. */
  get flushes(): number {
    return this.#flushes;
  }

  /** How much `reserve` gives without leaving room in a slab unused; `leastSlabRoom` at least. */
  get room(): number {
    if (this.#slab === null) return slabBytes;
    const left = slabBytes - this.#slab.used;
    return left < leastSlabRoom ? slabBytes : left;
  }

  /**
   * Room for `bytes` (at most `slabBytes`) in one piece, to be written into `slab` and then committed, before
   * anything else is called.
   */
  reserve(bytes: number): number {
    if (this.#slab !== null && this.#slab.used + bytes > slabBytes) this.#leaveSlab();
    this.#slab ??= outputSlabs.take();
    return this.#slab.used;
  }

  /** The buffer that `reserve` answered an offset of. */
  get slab(): Buffer {
    return this.#slab!.buffer;
  }

  commit(bytes: number): void {
    const slab = this.#slab!;
    slab.used += bytes;
    this.#unsentBytes += bytes;
    if (this.#immediate === null) this.#immediate = setImmediate(this.#flushNow);
    // Without waiting for the end of the turn. While the socket is busy, the last frame may still get END_STREAM.
    if (slabBytes - slab.used < leastSlabRoom) this.#give();
  }

  /** Copies a small frame. */
  frame(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.slab.set(bytes, at);
    this.commit(bytes.length);
  }

  /**
   * As `frame`, for bytes that never change. When nothing else is under way they go to the socket where they lie: many
   * connections that idle can send one in the same turn, and each would hold a slab until its socket is done.
   */
  sendAsItLies(bytes: Uint8Array): void {
    if (this.#slab !== null || this.#inSocket !== null || this.#closed) return this.frame(bytes);
    this.#inSocket = lent;
    this.#inSocketBytes = bytes.length;
    this.#unsentBytes += bytes.length;
    this.#socket.write(bytes, this.#written);
  }

  /** Copies any number of bytes. */
  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const taken = Math.min(bytes.length - from, this.room);
      const at = this.reserve(taken);
      this.slab.set(taken === bytes.length ? bytes : bytes.subarray(from, from + taken), at);
      this.commit(taken);
      from += taken;
    }
  }

  /** Copies text of ISO 8859-1. */
  latin1(text: string): void {
    if (text.length > slabBytes) return this.append(Buffer.from(text, 'latin1'));
    const at = this.reserve(text.length);
    this.slab.write(text, at, 'latin1');
    this.commit(text.length);
  }

  /** Sets END_STREAM on the frame whose header is at `at`, if it has not left since `flushes` was `epoch`. */
  endStreamAt(at: number, epoch: number): boolean {
    if (epoch !== this.#flushes || this.#closed) return false;
    this.slab[at + flagsOffset]! |= frameFlag.endStream;
    return true;
  }

  /** What was gathered goes to the socket as soon as that has taken what it was given before. */
  flush(): void {
    if (this.#immediate !== null) {
      clearImmediate(this.#immediate);
      this.#immediate = null;
    }
    this.#give();
  }

  /** Gives everything to the socket, which is to be ended behind it. Nothing is written any more. */
  finish(): void {
    if (!this.#closed) {
      for (const slab of this.#waiting) this.#socket.write(slab.buffer.subarray(slab.given, slab.used));
      const last = this.#slab;
      if (last !== null && last.used > last.given) {
        this.#socket.write(last.buffer.subarray(last.given, last.used));
      }
      // The socket keeps them for longer than we do: they are not given back.
      this.#slab = null;
      this.#flushes += 1;
    }
    this.close();
  }

  /** Nothing is written any more. What is in the socket stays where it is: the socket may still read it. */
  close(): void {
    this.#closed = true;
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#immediate = null;
    this.#waiting.length = 0;
    if (this.#slab !== null && this.#slab !== this.#inSocket) outputSlabs.giveBack(this.#slab);
    this.#slab = null;
    this.#unsentBytes = 0;
  }

  readonly #flushNow = (): void => {
    this.#immediate = null;
    this.#give();
  };

  /** The next piece, unless the socket has one. */
  #give(): void {
    if (this.#inSocket !== null || this.#closed) return;
    let slab = this.#waiting.shift() ?? null;
    if (slab === null) {
      slab = this.#slab;
      if (slab === null || slab.used === slab.given) return;
      this.#flushes += 1;
      if (slabBytes - slab.used < leastSlabRoom) this.#slab = null;
    }
    const from = slab.given;
    slab.given = slab.used;
    this.#inSocket = slab;
    this.#inSocketBytes = slab.used - from;
    this.#socket.write(slab.buffer.subarray(from, slab.used), this.#written);
  }

  /** No more is gathered into the slab. */
  #leaveSlab(): void {
    const slab = this.#slab!;
    this.#slab = null;
    this.#flushes += 1;
    if (slab.used > slab.given) {
      this.#waiting.push(slab);
      this.#give();
    } else if (slab !== this.#inSocket) outputSlabs.giveBack(slab);
  }

  readonly #written = (error?: Error | null): void => {
    const slab = this.#inSocket!;
    this.#inSocket = null;
    // After an error the socket is gone, and the session is about to hear of it.
    if (this.#closed || error) return;
    this.#unsentBytes -= this.#inSocketBytes;
    this.#takenBytes += this.#inSocketBytes;
    // Otherwise more was gathered behind that piece: it is being gathered into, or waits.
    if (slab.used === slab.given && slab !== lent) {
      if (slab === this.#slab) this.#slab = null;
      outputSlabs.giveBack(slab);
    }
    // What is gathered in this turn leaves at its end.
    if (this.#waiting.length > 0 || this.#immediate === null) this.#give();
    if (this.#wasFull && this.#unsentBytes <= this.#highWater.bytes / 2) {
      this.#wasFull = false;
      this.#highWater.drained(this.#takenBytes);
      this.#drained();
    }
  };
}
