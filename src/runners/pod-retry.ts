import type { Fault } from '../fault.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';

const backoff: Backoff = { baseMs: 1_000, capMs: 60_000, healthyAfterMs: 0 };

/** When a write that failed while pods serve on is tried again; nothing is written before. Owns its timer. */
export class PodRetry {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #again: () => void;
  #failures = 0;
  #timer: Timer | null = null;

  /** `random` is in [0, 1). */
  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: () => number },
    again: () => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#again = again;
  }

  get isWaiting(): boolean {
    return this.#timer !== null;
  }

  /** In how many milliseconds it is tried again. */
  failed(cause: Fault): number {
    const delayMs = backoffDelayMs(backoff, this.#failures++, this.#random());
    const retryInMs = Math.max(delayMs, cause.retryAfterMs ?? 0);
    this.#timer?.cancel();
    this.#timer = this.#clock.after(retryInMs, () => {
      this.#timer = null;
      this.#again();
    });
    return retryInMs;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** What failed before says nothing about the next write. Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#failures = 0;
  }
}
