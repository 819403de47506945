/**
 * "1,200 requests per five minutes per user … If you exceed this limit, all API calls for the next five minutes
 * will be blocked" (Cloudflare's API documentation, Rate limits). One object per credential.
 */
export class RateLimit {
  readonly #calls: number[] = [];
  readonly #maxCalls: number;
  #blockedUntilMs = 0;

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  /** Milliseconds until calls are answered again; 0 when this one may pass. */
  take(nowMs: number): number {
    if (nowMs < this.#blockedUntilMs) return this.#blockedUntilMs - nowMs;
    this.#forget(nowMs);
    if (this.#calls.length >= this.#maxCalls) {
      this.#calls.length = 0;
      this.#blockedUntilMs = nowMs + windowMs;
      return windowMs;
    }
    this.#calls.push(nowMs);
    return 0;
  }

  /** Headers that the real API adds to every answer (IETF draft on rate limit headers). */
  headers(nowMs: number): Record<string, string> {
    this.#forget(nowMs);
    const remaining = nowMs < this.#blockedUntilMs ? 0 : this.#maxCalls - this.#calls.length;
    const resetMs = Math.max(0, (this.#calls[0] ?? nowMs) + windowMs - nowMs);
    return {
      ratelimit: `"default";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
      'ratelimit-policy': `"default";q=${this.#maxCalls};w=${windowMs / 1000}`,
    };
  }

  #forget(nowMs: number): void {
    let past = 0;
    while (past < this.#calls.length && this.#calls[past]! <= nowMs - windowMs) past++;
    if (past > 0) this.#calls.splice(0, past);
  }
}

export const documentedCallsPerWindow = 1_200;
const windowMs = 5 * 60_000;
