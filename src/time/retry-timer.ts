import { type Backoff, backoffDelayMs } from './backoff.ts';
import type { Clock, Timer } from './clock.ts';

/** Waits from one try to the next, longer each time. Its owner calls `reset` when it wants no other try. */
export class RetryTimer {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #again: () => void;
  #tries = 0;
  #timer: Timer | null = null;

  /** `random` is in [0, 1). */
  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: () => number },
    backoff: Backoff,
    again: () => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#backoff = backoff;
    this.#again = again;
  }

  get isWaiting(): boolean {
    return this.#timer !== null;
  }

  /** Waits, anew if it does already: for how many milliseconds, `leastMs` at least. */
  wait(leastMs = 0): number {
    const delayMs = Math.max(leastMs, backoffDelayMs(this.#backoff, this.#tries++, this.#random()));
    this.rest();
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = null;
      this.#again();
    });
    return delayMs;
  }

  /** Waits no more; the next wait is longer than the last all the same. Idempotent. */
  rest(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Waits no more, and what failed before says nothing about the next try. Idempotent. */
  reset(): void {
    this.rest();
    this.#tries = 0;
  }
}
