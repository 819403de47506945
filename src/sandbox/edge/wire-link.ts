import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';

/** Most bytes that one direction holds back while it is slowed down; beyond it the sender has to wait. */
const maxHeldBytes = 4 << 20;

/** What can be done to one TCP connection of a connector. */
export interface Link {
  readonly remoteAddress: string;
  /** Each chunk is held back this long, in each direction. */
  delay(delayMs: number): void;
  /** Nothing passes any more, in either direction, and neither end is told. */
  silence(): void;
  /** Ends `silence`: what was held back passes; if one end has gone meanwhile, the other learns it. */
  restore(): void;
  /** Ends the connection at once, with a TCP reset to the connector. Idempotent. */
  cut(): void;
}

/** One TCP connection of a connector (outer end) and its continuation to the edge (inner end). */
export class WireLink implements Link {
  readonly remoteAddress: string;
  readonly #outer: Socket;
  readonly #inner: Socket;
  readonly #lanes: readonly Lane[];
  readonly #ended: () => void;
  #delayMs = 0;
  #isSilent = false;
  #isOver = false;

  /** Both sockets are connected, allow half-open, and are the link's from now on. */
  constructor(outer: Socket, inner: Socket, clock: Clock, ended: () => void) {
    this.#outer = outer;
    this.#inner = inner;
    this.#ended = ended;
    this.remoteAddress = outer.remoteAddress ?? '';
    this.#lanes = [new Lane(outer, inner, clock), new Lane(inner, outer, clock)];
    for (const socket of [outer, inner]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => {
        // A silenced end is not told that the other has gone.
        if (!this.#isSilent) this.#end(() => this.#destroyBoth());
      });
    }
  }

  delay(delayMs: number): void {
    this.#delayMs = delayMs;
    this.#steer();
  }

  silence(): void {
    this.#isSilent = true;
    this.#steer();
  }

  restore(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    if (this.#outer.destroyed || this.#inner.destroyed) this.cut();
    else this.#steer();
  }

  cut(): void {
    this.#end(() => {
      this.#outer.resetAndDestroy();
      this.#inner.destroy();
    });
  }

  #steer(): void {
    for (const lane of this.#lanes) lane.steer(this.#delayMs, this.#isSilent);
  }

  #destroyBoth(): void {
    this.#outer.destroy();
    this.#inner.destroy();
  }

  #end(destroy: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const lane of this.#lanes) lane.close();
    destroy();
    this.#ended();
  }
}

/** One direction: what arrives leaves in order, at once or after the delay. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #clock: Clock;
  /** `null` is the end of the stream. */
  readonly #held: { readonly chunk: Buffer | null; readonly dueMs: number }[] = [];
  #heldBytes = 0;
  #delayMs = 0;
  #isSilent = false;
  #timer: Timer | null = null;

  constructor(from: Socket, to: Socket, clock: Clock) {
    this.#from = from;
    this.#to = to;
    this.#clock = clock;
    from.on('data', (chunk: Buffer) => this.#arrived(chunk));
    from.once('end', () => this.#arrived(null));
    to.on('drain', () => this.#readOn());
  }

  steer(delayMs: number, isSilent: boolean): void {
    this.#delayMs = delayMs;
    this.#isSilent = isSilent;
    if (isSilent) {
      this.#from.pause();
      this.#timer?.cancel();
      this.#timer = null;
    } else {
      this.#flush();
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#held.length = 0;
  }

  #arrived(chunk: Buffer | null): void {
    if (this.#delayMs === 0 && this.#held.length === 0 && !this.#isSilent) return this.#pass(chunk);
    this.#held.push({ chunk, dueMs: this.#clock.monotonic() + this.#delayMs });
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes > maxHeldBytes) this.#from.pause();
    if (this.#timer === null && !this.#isSilent) this.#flush();
  }

  #flush(): void {
    this.#timer = null;
    while (this.#held[0] !== undefined) {
      const waitMs = this.#held[0].dueMs - this.#clock.monotonic();
      if (waitMs > 0) {
        this.#timer = this.#clock.after(Math.ceil(waitMs), () => this.#flush());
        break;
      }
      const { chunk } = this.#held.shift()!;
      this.#heldBytes -= chunk?.length ?? 0;
      this.#pass(chunk);
    }
    this.#readOn();
  }

  #pass(chunk: Buffer | null): void {
    if (this.#to.destroyed) return;
    if (chunk === null) this.#to.end();
    else if (!this.#to.write(chunk)) this.#from.pause();
  }

  #readOn(): void {
    if (!this.#isSilent && this.#heldBytes <= maxHeldBytes && !this.#to.writableNeedDrain)
      this.#from.resume();
  }
}
