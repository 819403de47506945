import type { ActorLog } from '../actors/ports.ts';
import { type Fault, isCloudflareAway } from '../fault.ts';
import { type Backoff, backoffDelayMs } from '../time/backoff.ts';
import { type Clock, sleep } from '../time/clock.ts';
import type { ApiResult } from './api-failure.ts';

/** Parts of Cloudflare's API of which one may be away without the other. */
export type Area = 'tunnels' | 'dns';

export interface AvailabilityOptions {
  readonly clock: Clock;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
  readonly log: Pick<ActorLog, 'info' | 'warn'>;
  /** How many share the budget of calls: each asks that much less often. */
  readonly processes: number;
  /** A cheap call that concerns no host; what it answers stands for the whole area. */
  readonly probe: (area: Area, signal: AbortSignal) => Promise<ApiResult<unknown>>;
  /** An area that was away answers again: what failed meanwhile may go on. Cheap, never throws. */
  readonly returned: () => void;
}

/**
 * Whether Cloudflare's API is there. While it is not, or wants no calls, one probe asks for everybody, so that neither a
 * thousand hosts spend the budget on it nor any of them waits for a retry of its own once it is back. A call without an
 * answer is only a reason to ask: what fails for one object alone, however often, holds up nobody else. A wish for no
 * calls is for all. Its owner calls `close`.
 */
export class Availability {
  readonly #areas: Readonly<Record<Area, AreaWatch>>;

  constructor(options: AvailabilityOptions) {
    this.#areas = { tunnels: new AreaWatch('tunnels', options), dns: new AreaWatch('dns', options) };
  }

  /** Why a call of this operation would be in vain, or null. */
  faultOf(op: string): Fault | null {
    return this.#areaOf(op).fault;
  }

  /** What became of a call that was made, or held back because Cloudflare asked for that. */
  heard(op: string, result: ApiResult<unknown>): void {
    if (!result.ok && result.fault.code === 'stopped') return;
    const area = this.#areaOf(op);
    const fault = withoutAnswer(result);
    if (fault === null) area.answered();
    else if (fault.code === 'cloudflare-rate-limited') area.throttled(fault);
    else area.doubted();
  }

  /** Of other credentials nothing is known yet. */
  forget(): void {
    for (const area of Object.values(this.#areas)) area.forget();
  }

  /** Nothing is asked any more. Idempotent. */
  close(): void {
    for (const area of Object.values(this.#areas)) area.close();
  }

  /** Records are in zones. */
  #areaOf(op: string): AreaWatch {
    return this.#areas[op.startsWith('tunnels.') ? 'tunnels' : 'dns'];
  }
}

class AreaWatch {
  readonly #area: Area;
  readonly #options: AvailabilityOptions;
  #fault: Fault | null = null;
  /** Ends the watch that is under way; null: nobody doubts. */
  #watching: AbortController | null = null;
  #attempts = 0;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(area: Area, options: AvailabilityOptions) {
    this.#area = area;
    this.#options = options;
  }

  get fault(): Fault | null {
    return this.#fault;
  }

  answered(): void {
    if (this.#fault !== null) this.#over();
  }

  doubted(): void {
    if (this.#isClosed || this.#watching !== null) return;
    this.#begin(Math.max(0, believedMs * this.#options.processes - this.#quietMs));
  }

  /** There is nothing to ask before the wish is over, and then somebody waits for it whatever was doubted before. */
  throttled(fault: Fault): void {
    if (this.#isClosed || this.#fault !== null) return;
    this.#watching?.abort();
    this.#away(fault);
    this.#begin(fault.retryAfterMs ?? 0);
  }

  forget(): void {
    this.#fault = null;
    this.#watching?.abort();
    this.#watching = null;
  }

  close(): void {
    this.#isClosed = true;
    this.#watching?.abort();
  }

  get #quietMs(): number {
    return this.#options.clock.monotonic() - this.#answeredAtMs;
  }

  #begin(delayMs: number): void {
    if (this.#quietMs >= backoff.healthyAfterMs) this.#attempts = 0;
    this.#watching = new AbortController();
    void this.#watch(delayMs, this.#watching.signal);
  }

  /** Until there is an answer. */
  async #watch(delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock, random, processes, probe } = this.#options;
    let waitMs = delayMs;
    while (true) {
      if (waitMs > 0) await sleep(clock, waitMs, signal).catch(() => {});
      if (signal.aborted) return;
      const result = await probe(this.#area, signal);
      if (signal.aborted) return;
      const fault = withoutAnswer(result);
      if (fault === null) return this.#over();
      this.#away(fault);
      const patience: Backoff = { ...backoff, capMs: backoff.capMs * processes };
      waitMs = Math.max(backoffDelayMs(patience, this.#attempts++, random()), fault.retryAfterMs ?? 0);
    }
  }

  #away({ code, message }: Fault): void {
    if (this.#fault === null) {
      this.#options.log.warn({ area: this.#area, code, detail: message }, 'cloudflare is away');
    }
    // Without its `retryAfterMs`: that is waited for here.
    this.#fault = { code, message };
  }

  /** Told only where it was away: while a doubt is looked into, nobody waits for its end. */
  #over(): void {
    const wasAway = this.#fault !== null;
    this.#answeredAtMs = this.#options.clock.monotonic();
    this.forget();
    if (!wasAway) return;
    this.#options.log.info({ area: this.#area }, 'cloudflare is back');
    this.#options.returned();
  }
}

/** Why there was no answer; null where there was one, be it a refusal. */
function withoutAnswer(result: ApiResult<unknown>): Fault | null {
  return result.ok || !isCloudflareAway(result.fault) ? null : result.fault;
}

/**
 * The cap is what everybody waits for at most once the API is back, where one process has all the budget; both areas together
 * ask at a third of its pace. A process that has a part of it is as patient as that is small: its probes, which go before
 * all else, would else be all that it does while one area is away.
 */
const backoff: Backoff = { baseMs: 1_000, capMs: 5_000, healthyAfterMs: 60_000 };
/** So long an answer is believed by one that has all the budget: calls that fail one after the other for reasons of their own cost no probe each. */
const believedMs = 5_000;
