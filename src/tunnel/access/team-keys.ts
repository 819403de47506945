import type { Logger } from '../../log.ts';
import { backoffDelayMs } from '../../time/backoff.ts';
import type { Clock } from '../../time/clock.ts';
import { fetchCerts } from './fetch-certs.ts';
import type { KeySet } from './jwt.ts';

/** How long the certs endpoint may take for its whole answer. */
export const fetchTimeoutMs = 5_000;
/** Keys older than this are fetched again in the background by the next request. */
export const refreshAfterMs = 10 * 60_000;
/** Keys older than this are waited for, unless the endpoint was away just before. */
export const maxAgeMs = 3_600_000;
/** Keys are used up to this age while the endpoint is away; without any that are younger nobody comes in. */
export const maxAgeWhileAwayMs = 6 * 3_600_000;
/**
 * Between two fetches: also what a token with an invented `kid` can cause. The longer, the more of them failed or
 * brought nothing new.
 */
export const fetchBackoff = { baseMs: 1_000, capMs: 30_000, healthyAfterMs: 5 * 60_000 };

export interface TeamKeysOptions {
  readonly team: string;
  readonly certsUrl: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, 'warn'>;
}

/** Told why there are no keys, so that nobody comes in; null once there are. */
export type HearKeys = (problem: string | null) => void;

/**
 * One team's keys: fetched when they are asked for, kept, renewed before they get old. No timer runs while
 * nobody asks. Owns the fetch that is under way, at most one.
 */
export class TeamKeys {
  readonly #options: TeamKeysOptions;
  #keys: KeySet | null = null;
  #text = '';
  #fetchedAtMs = 0;
  #fetching: Promise<void> | null = null;
  #abort: AbortController | null = null;
  /** Fetches in a row that failed or brought nothing new. */
  #barren = 0;
  #lastFetchFailed = false;
  #lastFetchMs = Number.NEGATIVE_INFINITY;
  #nextFetchMs = Number.NEGATIVE_INFINITY;
  #destroyed = false;
  /** Why nobody comes in, or null: somebody may, or it is not known yet. */
  #problem: string | null = null;
  readonly #hearers = new Set<HearKeys>();

  constructor(options: TeamKeysOptions) {
    this.#options = options;
  }

  /** The keys to verify with; null when there are none that may be used. */
  async usable(): Promise<KeySet | null> {
    const ageMs = this.#ageMs();
    const isGoodEnough = ageMs < maxAgeMs || (this.#lastFetchFailed && ageMs < maxAgeWhileAwayMs);
    if (ageMs >= refreshAfterMs) {
      const fetched = this.#fetch();
      if (!isGoodEnough) await fetched;
    }
    return this.#ageMs() < maxAgeWhileAwayMs ? this.#keys : null;
  }

  /** The keys after those have not sufficed; the same ones when it is too early to ask again. */
  async newer(): Promise<KeySet | null> {
    await this.#fetch();
    return this.#keys;
  }

  /** Tells at once if there is a problem, and then every change. Answers how to stop listening. */
  onProblem(hear: HearKeys): () => void {
    this.#hearers.add(hear);
    if (this.#problem !== null) hear(this.#problem);
    return () => void this.#hearers.delete(hear);
  }

  /** Ends a fetch that is under way; whoever waits gets what there is. Idempotent. */
  destroy(): void {
    this.#destroyed = true;
    this.#abort?.abort('the tunnel was ended');
  }

  #ageMs(): number {
    if (this.#keys === null) return Number.POSITIVE_INFINITY;
    return this.#options.clock.monotonic() - this.#fetchedAtMs;
  }

  #fetch(): Promise<void> {
    if (this.#fetching !== null) return this.#fetching;
    if (this.#destroyed || this.#options.clock.monotonic() < this.#nextFetchMs) return Promise.resolve();
    this.#fetching = this.#fetchOnce().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    const { team, certsUrl, clock, random, log } = this.#options;
    const abort = new AbortController();
    this.#abort = abort;
    const timer = clock.after(fetchTimeoutMs, () => abort.abort(`no answer within ${fetchTimeoutMs} ms`));
    const fetched = await fetchCerts(certsUrl, abort.signal);
    timer.cancel();
    const problem = 'text' in fetched ? await this.#take(fetched.text) : fetched.problem;
    if (this.#destroyed) return;
    const nowMs = clock.monotonic();
    if (nowMs - this.#lastFetchMs >= fetchBackoff.healthyAfterMs) this.#barren = 0;
    const retryInMs = backoffDelayMs(fetchBackoff, this.#barren, random());
    this.#barren += 1;
    this.#lastFetchFailed = problem !== null;
    this.#lastFetchMs = nowMs;
    this.#nextFetchMs = nowMs + retryInMs;
    if (problem !== null) log.warn({ team, reason: problem, retryInMs }, 'access keys not fetched');
    this.#tell(this.#ageMs() < maxAgeWhileAwayMs ? null : problem);
  }

  /** That it cannot be had is the news, not each time why. */
  #tell(problem: string | null): void {
    const isNews = (problem === null) !== (this.#problem === null);
    this.#problem = problem;
    if (isNews) for (const hear of this.#hearers) hear(problem);
  }

  /** Says what is wrong with the text, or null. */
  async #take(text: string): Promise<string | null> {
    if (text !== this.#text) {
      const keys = await readKeys(text);
      if (typeof keys === 'string') return keys;
      this.#keys = keys;
      this.#text = text;
      this.#barren = 0;
    }
    this.#fetchedAtMs = this.#options.clock.monotonic();
    return null;
  }
}

/**
 * What reads them is loaded with the first team: five megabytes that a thread without Access does not need. That fails where
 * no further file may be opened, for one.
 */
async function readKeys(text: string): Promise<KeySet | string> {
  try {
    const { readKeySet } = await import('./jwt.ts');
    return readKeySet(text);
  } catch (thrown) {
    return `what reads keys cannot be loaded: ${(thrown as NodeJS.ErrnoException).code ?? String(thrown)}`;
  }
}
