import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import type { Clock, Timer } from '../time/clock.ts';

/** Kubernetes itself waits for up to a thousand seconds; a write per tunnel and try is what it costs. */
const backoff: Backoff = { baseMs: 30_000, capMs: 120_000, healthyAfterMs: 0 };

/**
 * While Kubernetes refuses to make pods (a quota, a policy), has it try again sooner than its own backoff would: nobody
 * tells us, and nobody tells it, that there is room again. Owns its timer.
 */
export class PodNudge {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #nudge: () => void;
  #tries = 0;
  #timer: Timer | null = null;

  /** `random` is in [0, 1). */
  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: () => number },
    nudge: () => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#nudge = nudge;
  }

  /** Each try takes the refusal back for a moment, so only pods that are all there are the end of it. */
  look(areRefused: boolean, isRolledOut: boolean): void {
    if (isRolledOut) return this.stop();
    if (!areRefused) return this.#rest();
    this.#timer ??= this.#clock.after(backoffDelayMs(backoff, this.#tries++, this.#random()), () => {
      this.#timer = null;
      this.#nudge();
    });
  }

  /** Idempotent. */
  stop(): void {
    this.#rest();
    this.#tries = 0;
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
