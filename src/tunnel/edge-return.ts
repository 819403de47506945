import type { Clock, Timer } from '../time/clock.ts';

/** So long without any connection, and the first that registers hastens those that wait, milliseconds. */
export const leastSilenceMs = 5_000;

/**
 * Notices that an edge is back which no connection of the thread could reach for a while. By then each waits up to half a
 * minute for its next attempt; when the first is registered, the others are tried soon. Once for each silence: an edge
 * that takes connections only to drop them is asked no more often than the first of them waits.
 */
export class EdgeReturn {
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #registered = 0;
  #silentSinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#silentSinceMs = clock.monotonic();
  }

  /** A connection is registered. The caller calls what it gets once, when the connection is over or the edge leaves it. */
  registered(): () => void {
    const silentMs = this.#registered > 0 ? 0 : this.#clock.monotonic() - this.#silentSinceMs;
    this.#registered += 1;
    if (silentMs >= leastSilenceMs) for (const hasten of this.#waiting) hasten();
    return () => {
      this.#registered -= 1;
      if (this.#registered === 0) this.#silentSinceMs = this.#clock.monotonic();
    };
  }

  /** Calls `go` after `delayMs`, or `soonMs` after the edge is back, if that is earlier. The caller owns the timer. */
  after(delayMs: number, soonMs: number, go: () => void): Timer {
    const dueMs = this.#clock.monotonic() + delayMs;
    const begin = (ms: number): Timer =>
      this.#clock.after(ms, () => {
        this.#waiting.delete(hasten);
        go();
      });
    const hasten = (): void => {
      if (this.#clock.monotonic() + soonMs >= dueMs) return;
      timer.cancel();
      timer = begin(soonMs);
    };
    let timer = begin(delayMs);
    this.#waiting.add(hasten);
    return {
      cancel: () => {
        this.#waiting.delete(hasten);
        timer.cancel();
      },
    };
  }
}
