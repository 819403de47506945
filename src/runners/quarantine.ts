import type { Logger } from '../log.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { type Evidence, nextChangeMs, noEvidence, suspectsOf, withDeath, withTime } from './suspects.ts';

/** A tunnel that is on threads now, under one of its hosts. */
interface Accused {
  readonly tunnel: string;
  readonly host: string;
}

interface QuarantineOptions {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** All that run now. */
  readonly present: () => Iterable<Accused>;
  /** These were put apart, or let out again. */
  readonly changed: (tunnels: ReadonlySet<string>) => void;
}

/**
 * Which tunnels are kept apart because threads died under them. Invariant: the verdict is always that of the evidence
 * at this time (`suspects`), for which it looks again when that changes by itself. Owns that timer.
 */
export class Quarantine {
  readonly #options: QuarantineOptions;
  #evidence: Evidence = noEvidence;
  #suspects: ReadonlyMap<string, number> = new Map();
  #review: Timer | null = null;
  #isClosed = false;

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  /** Those that may be to blame for deaths, and for how many. */
  get suspects(): ReadonlyMap<string, number> {
    return this.#suspects;
  }

  has(tunnel: string): boolean {
    return this.#evidence.quarantined.has(tunnel);
  }

  /** A thread died under these tunnels; so many threads there may be for tunnels of their own. */
  accuse(tunnels: ReadonlySet<string>, places: number): void {
    const death = { atMs: this.#options.clock.monotonic(), tunnels };
    this.#judge(withDeath(this.#evidence, death, places));
  }

  /** Nothing is judged by time any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#review?.cancel();
  }

  #judge(evidence: Evidence): void {
    const { clock, log, present, changed } = this.#options;
    const before = this.#evidence.quarantined;
    const now = evidence.quarantined;
    this.#evidence = evidence;
    this.#suspects = suspectsOf(evidence);
    const concerned = [...present()].filter(({ tunnel }) => before.has(tunnel) !== now.has(tunnel));
    const accused = concerned.filter(({ tunnel }) => now.has(tunnel)).length;
    for (const { tunnel, host } of concerned) {
      const deaths = this.#suspects.get(tunnel);
      if (now.has(tunnel)) log.warn({ host, tunnel, deaths, accused }, 'tunnel put into quarantine');
      else log.info({ host, tunnel }, 'tunnel released from quarantine');
    }
    changed(new Set(concerned.map(({ tunnel }) => tunnel)));
    this.#review?.cancel();
    const atMs = nextChangeMs(evidence);
    this.#review =
      atMs === null || this.#isClosed
        ? null
        : clock.after(atMs - clock.monotonic(), () =>
            this.#judge(withTime(this.#evidence, clock.monotonic())),
          );
  }
}
