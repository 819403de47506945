import type { Clock, Timer } from '../../src/time/clock.ts';

interface Pending {
  readonly atMs: number;
  readonly fire: () => void;
}

/**
 * A clock that stands still until a test moves it. Timers fire in the order of their times (equal times in the
 * order they were made), each at exactly its time, with everything that follows from it done before the next.
 */
export class ManualClock implements Clock {
  #startMs: number;
  #elapsedMs = 0;
  /** In the order in which they fire. */
  readonly #timers: Pending[] = [];

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  /** The wall clock is set, as by NTP: no time passes. */
  setWall(nowMs: number): void {
    this.#startMs = nowMs - this.#elapsedMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const atMs = this.#elapsedMs + Math.max(0, delayMs);
    const timer: Pending = { atMs, fire };
    this.#timers.splice(
      this.#first((eachMs) => eachMs > atMs),
      0,
      timer,
    );
    return { cancel: () => this.#remove(timer) };
  }

  /** Timers that have neither fired nor been cancelled: what a test looks at for leaks. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Milliseconds until the next timer fires, or undefined when there is none. */
  get nextTimerMs(): number | undefined {
    const next = this.#timers[0];
    return next && next.atMs - this.#elapsedMs;
  }

  /** Moves time by `ms` and lets everything that is due happen, also what becomes due on the way. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms;
    await settle();
    for (let [next] = this.#timers; next !== undefined && next.atMs <= untilMs; [next] = this.#timers) {
      this.#timers.shift();
      // One that became due while time was frozen is late.
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      next.fire();
      await settle();
    }
    this.#elapsedMs = untilMs;
  }

  /** Time passes and nothing happens: the process is stopped, or something blocks it. */
  freeze(ms: number): void {
    this.#elapsedMs += ms;
  }

  #remove(timer: Pending): void {
    const index = this.#timers.indexOf(
      timer,
      this.#first((atMs) => atMs >= timer.atMs),
    );
    if (index !== -1) this.#timers.splice(index, 1);
  }

  /** Index of the first timer whose time is so, as those of all later ones are. Thousands are pending in some tests. */
  #first(isSo: (atMs: number) => boolean): number {
    let [low, high] = [0, this.#timers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isSo(this.#timers[middle]!.atMs)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Lets every promise that can settle without time or I/O do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
