import type { Clock, Timer } from './clock.ts';

/** So long what follows a first one is waited for. */
const burstMs = 1_000;

/** Gathers what comes within a second, to be told together. Its owner calls `close`. */
export class Burst<T> {
  readonly #clock: Clock;
  readonly #tell: (items: readonly T[]) => void;
  #items: T[] = [];
  #timer: Timer | null = null;
  #isClosed = false;

  /** `tell`: never without any. */
  constructor(clock: Clock, tell: (items: readonly T[]) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(item: T): void {
    if (this.#isClosed) return this.#tell([item]);
    this.#items.push(item);
    this.#timer ??= this.#clock.after(burstMs, () => this.#flush());
  }

  /** Tells what waits, and from now on everything at once. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#flush();
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const items = this.#items;
    this.#items = [];
    if (items.length > 0) this.#tell(items);
  }
}
