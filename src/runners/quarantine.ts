import type { Logger } from '../log.ts';
import type { Clock, Timer } from '../time/clock.ts';
import type { Company } from './placement.ts';
import {
  type Death,
  nextChangeMs,
  type Room,
  recent,
  suspectsOf,
  type Verdict,
  verdictOf,
  withDeath,
} from './suspects.ts';

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
  /** Judged anew: some may have been put apart, or let out again. */
  readonly judged: () => void;
}

/**
 * Which tunnels are kept apart because threads died under them. Invariant: the verdict is always that of the deaths
 * that count at this time (`suspects`), at which it looks again when that changes by itself. Owns that timer.
 */
export class Quarantine {
  readonly #options: QuarantineOptions;
  #deaths: readonly Death[] = [];
  #room: Room = { threads: 0, tunnelsPerThread: 0 };
  #verdict: Verdict = { quarantined: new Map(), suspectThreads: 0 };
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

  /** How many threads suspects share among themselves. */
  get suspectThreads(): number {
    return this.#verdict.suspectThreads;
  }

  companyOf(tunnel: string): Company {
    return this.#verdict.quarantined.get(tunnel) ?? 'any';
  }

  /** A thread died under these tunnels; so much room there may be for quarantine. */
  accuse(tunnels: ReadonlySet<string>, room: Room): void {
    this.#room = room;
    this.#judge(withDeath(this.#deaths, { atMs: this.#options.clock.monotonic(), tunnels }));
  }

  /** Nothing is judged by time any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#review?.cancel();
  }

  #judge(deaths: readonly Death[]): void {
    const { clock, log, present, judged } = this.#options;
    const before = this.#verdict.quarantined;
    this.#deaths = deaths;
    this.#suspects = suspectsOf(deaths);
    this.#verdict = verdictOf(deaths, this.#room, before);
    const now = this.#verdict.quarantined;
    const concerned = [...present()].filter(({ tunnel }) => before.get(tunnel) !== now.get(tunnel));
    const accused = concerned.filter(({ tunnel }) => now.has(tunnel)).length;
    for (const { tunnel, host } of concerned) {
      const company = now.get(tunnel);
      if (company === undefined) {
        log.info({ host, tunnel }, 'tunnel released from quarantine');
      } else {
        const fields = { host, tunnel, company, deaths: this.#suspects.get(tunnel), accused };
        log.warn(fields, 'tunnel put into quarantine');
      }
    }
    judged();
    this.#review?.cancel();
    const atMs = nextChangeMs(deaths);
    this.#review =
      atMs === null || this.#isClosed
        ? null
        : clock.after(atMs - clock.monotonic(), () => this.#judge(recent(this.#deaths, clock.monotonic())));
  }
}
