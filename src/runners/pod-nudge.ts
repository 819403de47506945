import type { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { RetryTimer } from '../time/retry-timer.ts';

/** Kubernetes itself waits for up to a thousand seconds; a write per tunnel and try is what it costs. */
const backoff: Backoff = { baseMs: 30_000, capMs: 120_000, healthyAfterMs: 0 };

/**
 * While Kubernetes refuses to make pods (a quota, a policy), has it try again sooner than its own backoff would: nobody
 * tells us, and nobody tells it, that there is room again. Owns its timer.
 */
export class PodNudge {
  readonly #timer: RetryTimer;

  /** `random` is in [0, 1). */
  constructor(world: { readonly clock: Clock; readonly random: () => number }, nudge: () => void) {
    this.#timer = new RetryTimer(world, backoff, nudge);
  }

  /** Each try takes the refusal back for a moment, so only pods that are all there are the end of it. */
  look(areRefused: boolean, isRolledOut: boolean): void {
    if (isRolledOut) this.#timer.reset();
    else if (!areRefused) this.#timer.rest();
    else if (!this.#timer.isWaiting) this.#timer.wait();
  }

  /** Idempotent. */
  stop(): void {
    this.#timer.reset();
  }
}
