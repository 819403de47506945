import type { Rate } from './http2-limits.ts';

/**
 * A token bucket for events that are cheap one by one. It looks at the clock only when a whole burst is used up,
 * so the bound over any time `t` is twice the burst plus the rate times `t`.
 */
export class FloodGuard {
  readonly #rate: Rate;
  readonly #monotonicMs: () => number;
  #tokens: number;
  #filledAtMs: number;

  constructor(rate: Rate, monotonicMs: () => number) {
    this.#rate = rate;
    this.#monotonicMs = monotonicMs;
    this.#tokens = rate.burst;
    this.#filledAtMs = monotonicMs();
  }

  /** Counts one event; false when there were too many. */
  take(): boolean {
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return true;
    }
    const nowMs = this.#monotonicMs();
    const earned = ((nowMs - this.#filledAtMs) / 1000) * this.#rate.perSecond;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Allows `count` more events, never above the burst. */
  allow(count: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + count);
  }
}
