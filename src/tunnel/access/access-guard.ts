import type { AccessPolicy } from '../../domain/access.ts';
import type { RouteTable } from '../../domain/routes.ts';
import type { Logger } from '../../log.ts';
import type { Clock } from '../../time/clock.ts';
import type { Counts } from '../counts.ts';
import type { EdgeStream, RequestHead } from '../edge-session.ts';
import type { StreamHandler } from '../http2/stream.ts';
import { answered, respondByRule, respondOurselves, stopRequest } from '../proxy-answer.ts';
import { http2Error } from '../wire/http2-errors.ts';
import type { AccessTeams } from './access-teams.ts';
import { HeldRequest } from './held-request.ts';
import type { VerifiedToken } from './jwt.ts';
import type { TeamVerifier } from './team-verifier.ts';

/** What is behind the guard. */
export interface Guarded {
  open(stream: EdgeStream, head: RequestHead): StreamHandler;
  updateRoutes(routes: RouteTable): void;
  readonly openRequests: number;
  destroy(): void;
}

export interface AccessGuardOptions {
  readonly routes: RouteTable;
  readonly teams: AccessTeams;
  readonly clock: Clock;
  readonly counts: Counts;
  readonly log: Pick<Logger, 'debug' | 'error'>;
  /** The keys of the team that the routes name cannot be had, so that everybody is refused; null: they can again. */
  hearAccess(problem: string | null): void;
}

/** Requests of one tunnel that wait for their verdict at the same time; further ones are refused. */
export const maxHeldRequests = 1_000;
/** Longer ones are not looked at. A browser's cookie, where the token comes from, ends at 4 KiB. */
export const maxTokenLength = 16_384;

const tokenHeader = 'cf-access-jwt-assertion';

/** cloudflared's two refusals (protocol page, section 10.2): 403 by rule, and 502. */
type Verdict = 'admitted' | 'forbidden' | 'unverified';

interface Gate {
  readonly policy: AccessPolicy;
  readonly verifier: TeamVerifier;
  /** Of its keys nothing more is to be heard. */
  readonly ignore: () => void;
}

/**
 * Stands before a proxy: where the routes carry an access policy, no request gets past without a token that
 * fits it. What the proxy says of a path is behind the guard as well. A token that was verified a moment ago is let
 * through at once; others are held until the verdict. The verdict falls on the head: what has been opened, a
 * WebSocket for one, goes on when its token expires.
 */
export class AccessGuard implements Guarded {
  readonly #proxy: Guarded;
  readonly #options: AccessGuardOptions;
  /** Null: everybody comes in. */
  #gate: Gate | null = null;
  #held = 0;
  /** It was told that the keys cannot be had. */
  #shut = false;

  /** Owns the proxy from here on, not the teams. */
  constructor(proxy: Guarded, options: AccessGuardOptions) {
    this.#proxy = proxy;
    this.#options = options;
    this.#follow(options.routes.access);
  }

  get openRequests(): number {
    return this.#proxy.openRequests + this.#held;
  }

  updateRoutes(routes: RouteTable): void {
    this.#follow(routes.access);
    this.#proxy.updateRoutes(routes);
  }

  destroy(): void {
    this.#gate?.ignore();
    this.#proxy.destroy();
  }

  open(stream: EdgeStream, head: RequestHead): StreamHandler {
    const gate = this.#gate;
    if (gate === null) return this.#proxy.open(stream, head);
    const token = tokenOf(head);
    if (token === null) return this.#refuse(stream, head.ended, 'forbidden', 0);
    const known = gate.verifier.known(token);
    if (known === null) return this.#hold(stream, head, gate, token);
    const verdict = verdictOn(known, gate.policy);
    if (verdict === 'admitted') return this.#proxy.open(stream, head);
    return this.#refuse(stream, head.ended, verdict, 0);
  }

  #follow(policy: AccessPolicy | null): void {
    // A gate is one policy's: what waits at it is not asked again because of a change elsewhere in the routes.
    if (this.#gate !== null && policy !== null && samePolicy(this.#gate.policy, policy)) return;
    this.#closeGate();
    if (policy === null) return;
    const verifier = this.#options.teams.verifierOf(policy.team);
    const ignore = verifier.onProblem((problem) => this.#hearProblem(policy.team, problem));
    this.#gate = { policy, verifier, ignore };
    verifier.warm();
  }

  #closeGate(): void {
    this.#gate?.ignore();
    this.#gate = null;
    this.#hearProblem('', null);
  }

  #hearProblem(team: string, problem: string | null): void {
    if ((problem !== null) === this.#shut) return;
    this.#shut = problem !== null;
    this.#options.hearAccess(
      problem === null ? null : `the keys of the Access team "${team}" cannot be had: ${problem}`,
    );
  }

  #hold(stream: EdgeStream, head: RequestHead, gate: Gate, token: string): StreamHandler {
    if (this.#held >= maxHeldRequests) return this.#refuse(stream, head.ended, 'unverified', 0);
    const { clock, counts } = this.#options;
    const startedMs = clock.monotonic();
    const seconds = (): number => (clock.monotonic() - startedMs) / 1_000;
    this.#held += 1;
    const held = new HeldRequest(stream, () => {
      this.#held -= 1;
      counts.request(0, seconds());
    });
    void this.#judge(gate, token).then((verdict) => {
      if (held.over) return;
      this.#held -= 1;
      try {
        // What held for the old routes need not hold for those it would go by.
        if (gate !== this.#gate) return held.serve(() => this.open(stream, head));
        if (verdict === 'admitted') return held.serve(() => this.#proxy.open(stream, head));
        this.#refuse(stream, head.ended, verdict, seconds());
        held.drop();
      } catch (thrown) {
        // Here no session hears of it, and nobody else's request may end with this one.
        this.#hearBug(thrown);
        stream.reset(http2Error.internalError);
        counts.request(0, seconds());
      }
    });
    return held;
  }

  /** Never rejects. */
  async #judge({ policy, verifier }: Gate, token: string): Promise<Verdict> {
    try {
      const verified = await verifier.verify(token);
      if (typeof verified !== 'string') return verdictOn(verified, policy);
      this.#options.log.debug({ team: policy.team, reason: verified }, 'access token not verified');
    } catch (thrown) {
      this.#hearBug(thrown);
    }
    return 'unverified';
  }

  #hearBug(thrown: unknown): void {
    this.#options.log.error({ host: this.#options.routes.host, err: thrown }, 'request ended by a bug');
  }

  #refuse(
    stream: EdgeStream,
    requestEnded: boolean,
    verdict: 'forbidden' | 'unverified',
    seconds: number,
  ): StreamHandler {
    if (verdict === 'forbidden') respondByRule(stream, 403);
    else respondOurselves(stream, 502);
    if (!requestEnded) stopRequest(stream);
    const { counts } = this.#options;
    counts.request(verdict === 'forbidden' ? 4 : 5, seconds);
    // What is wrong with a token is its sender's failure.
    if (verdict === 'unverified' && this.#shut) counts.originError('access');
    return answered;
  }
}

/** Null as well when there are two: which of them the origin would believe is not for us to guess. */
function tokenOf({ headers }: RequestHead): string | null {
  let token: string | null = null;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] !== tokenHeader) continue;
    if (token !== null) return null;
    token = headers[i + 1]!;
  }
  return token === null || token === '' || token.length > maxTokenLength ? null : token;
}

function verdictOn({ audiences }: VerifiedToken, { audience }: AccessPolicy): 'admitted' | 'forbidden' {
  return audiences.some((tag) => audience.includes(tag)) ? 'admitted' : 'forbidden';
}

function samePolicy(a: AccessPolicy, b: AccessPolicy): boolean {
  return a.team === b.team && a.audience.join() === b.audience.join();
}
