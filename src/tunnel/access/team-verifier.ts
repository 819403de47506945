import { accessIssuer } from '../../domain/access.ts';
import { unreachable } from '../../fault.ts';
import type { Clock } from '../../time/clock.ts';
import type { VerifiedToken } from './jwt.ts';
import type { HearKeys, TeamKeys } from './team-keys.ts';
import { VerifiedTokens } from './verified-tokens.ts';

/** Verifies the tokens of one team, for any number of tunnels. */
export class TeamVerifier {
  readonly #issuer: string;
  readonly #keys: TeamKeys;
  readonly #clock: Clock;
  readonly #verified: VerifiedTokens;

  constructor(team: string, keys: TeamKeys, clock: Clock) {
    this.#issuer = accessIssuer(team);
    this.#keys = keys;
    this.#clock = clock;
    this.#verified = new VerifiedTokens(clock);
  }

  /** A token that was verified before and holds still; null: ask `verify`. */
  known(text: string): VerifiedToken | null {
    return this.#verified.find(text);
  }

  /** A string says why the token is not believed. Takes as long as a fetch of keys, if it needs one. */
  async verify(text: string): Promise<VerifiedToken | string> {
    const keys = await this.#keys.usable();
    if (keys === null) return 'there are no keys of the team';
    let verification = await keys.verify(text, this.#issuer, this.#clock.now());
    if (verification.outcome === 'unknown-key') {
      const newer = await this.#keys.newer();
      if (newer !== null && newer !== keys) {
        verification = await newer.verify(text, this.#issuer, this.#clock.now());
      }
    }
    switch (verification.outcome) {
      case 'valid':
        this.#verified.add(text, verification.token);
        return verification.token;
      case 'unknown-key':
        return 'no key of the team fits the token';
      case 'invalid':
        return verification.why;
      default:
        return unreachable(verification);
    }
  }

  /** As `TeamKeys` has it. */
  onProblem(hear: HearKeys): () => void {
    return this.#keys.onProblem(hear);
  }

  /** Fetches the keys if there are none, so that the first request need not wait. */
  warm(): void {
    void this.#keys.usable();
  }
}
