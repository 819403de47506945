import { hash } from 'node:crypto';
import type { Clock } from '../../time/clock.ts';
import type { VerifiedToken } from './jwt.ts';

/** Tokens remembered per team; the one that was used longest ago goes first. */
export const maxVerifiedTokens = 5_000;
/** A token is verified again after this, so that a withdrawn key does not live on in what it signed. */
export const verifiedForMs = 5 * 60_000;

interface Entry {
  readonly token: VerifiedToken;
  readonly untilMs: number;
}

/**
 * Tokens that were verified a moment ago, by the hash of all of their text: a look here costs microseconds, a
 * verification some eighty. The tokens themselves are not kept.
 */
export class VerifiedTokens {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  add(text: string, token: VerifiedToken): void {
    const untilMs = this.#clock.monotonic() + verifiedForMs;
    this.#entries.set(keyOf(text), { token, untilMs });
    if (this.#entries.size <= maxVerifiedTokens) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  /** Null when it was not verified, was forgotten, or has expired since. */
  find(text: string): VerifiedToken | null {
    const key = keyOf(text);
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (this.#clock.monotonic() >= entry.untilMs || this.#clock.now() >= entry.token.expiresAtMs) return null;
    this.#entries.set(key, entry);
    return entry.token;
  }
}

function keyOf(text: string): string {
  return hash('sha256', text, 'base64');
}
