import { type Clock, systemClock, type Timer } from '../../src/time/clock.ts';

/** Real time that a test can move ahead: for what works with real sockets and threads, and now and then waits for long. */
export class LeapingClock implements Clock {
  #aheadMs = 0;
  /** How each timer that is pending is set to what is left of it, those that were made first first. */
  readonly #rearm = new Set<() => void>();

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#aheadMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const atMs = this.monotonic() + delayMs;
    let timer: Timer;
    const arm = (): void => {
      timer?.cancel();
      timer = systemClock.after(atMs - this.monotonic(), () => {
        this.#rearm.delete(arm);
        fire();
      });
    };
    arm();
    this.#rearm.add(arm);
    return {
      cancel: () => {
        this.#rearm.delete(arm);
        timer.cancel();
      },
    };
  }

  /** What is due by then happens in the next turns of the event loop, not within. */
  leap(ms: number): void {
    this.#aheadMs += ms;
    for (const arm of this.#rearm) arm();
  }
}
