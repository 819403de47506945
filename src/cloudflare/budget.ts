/**
 * A token bucket for API calls. Cloudflare allows 1,200 in five minutes per credential and blocks *every* call
 * of it for five minutes when that is exceeded, also the ones of people and other programs that share it. At
 * most `burst + 300 × perSecond` = 900 of ours fall into any five minutes, a quarter is left to others.
 *
 * Pure: the caller brings the time, in milliseconds that never go backwards.
 */
export class CallBudget {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #asOfMs: number;

  constructor(nowMs: number, burst: number = burstCalls, perSecond: number = callsPerSecond) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#asOfMs = nowMs;
  }

  /** Whole calls that may be made at once. */
  remaining(nowMs: number): number {
    this.#refill(nowMs);
    return Math.max(0, Math.floor(this.#tokens));
  }

  /** Spends one call. May go into debt by the calls that start in the same turn; they delay the next. */
  spend(nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens -= 1;
  }

  /** Milliseconds until one more call may be made; 0 when it may now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }

  #refill(nowMs: number): void {
    const gained = ((nowMs - this.#asOfMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#asOfMs = nowMs;
  }
}

/** Of several processes with the same credentials each has its part. */
export function shareOfBudget(nowMs: number, processes: number): CallBudget {
  return new CallBudget(nowMs, Math.floor(burstCalls / processes), callsPerSecond / processes);
}

/** A hundred new hosts at once are three hundred calls. */
export const burstCalls = 450;
const callsPerSecond = 1.5;

/**
 * For a command that runs once beside the controller, with the same credentials: 300 calls in any five minutes,
 * so that both together stay within what Cloudflare allows.
 */
export function budgetBesideController(nowMs: number): CallBudget {
  return new CallBudget(nowMs, 150, 0.5);
}
