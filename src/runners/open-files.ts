import { readFileSync } from 'node:fs';
import type { Logger } from '../log.ts';
import type { Clock } from '../time/clock.ts';

/** Beside connections: threads, watches, and what a moment's requests open beyond what was open before. */
const reserve = 300;
const sayEveryMs = 60_000;

/**
 * How many files a process may have open at once, sockets among them; null where the system does not say (no `/proc`).
 * Node.js has raised the soft limit to the hard one when it started.
 */
export function openFilesLimit(): number | null {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? null : Number(limit);
  } catch {
    return null;
  }
}

/** What a process should be allowed: each connection to the edge is one, and each tunnel keeps one to its origin. */
export function openFilesFor(tunnels: number, connections: number): number {
  return tunnels + connections + reserve;
}

/** Says what a process needs that has run into its limit: once for all connections that fail by it, not for each. */
export class OpenFiles {
  readonly #clock: Clock;
  readonly #log: Pick<Logger, 'warn'>;
  /** Asked for in time: it is read from a file, and then none can be opened. */
  readonly #limit = openFilesLimit();
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, log: Pick<Logger, 'warn'>) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `wanted` is how many connections each tunnel should have. At most one line a minute. */
  exhausted(wanted: () => readonly number[]): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#saidAtMs < sayEveryMs) return;
    this.#saidAtMs = nowMs;
    const each = wanted();
    const tunnels = each.length;
    const connections = each.reduce((sum, ofOne) => sum + ofOne, 0);
    const needed = openFilesFor(tunnels, connections);
    this.#log.warn({ limit: this.#limit, needed, tunnels, connections }, 'open files exhausted');
  }
}
