import type { LedgerEntry } from '../domain/ledger.ts';
import { Burst } from '../time/burst.ts';
import type { Clock } from '../time/clock.ts';
import type { ActorLog } from './ports.ts';

/**
 * Says which ledgers of other identities are there and are left alone: each once, and those of an install in one line.
 * Its owner calls `close`.
 */
export class ForeignLedgers {
  readonly #hosts = new Set<string>();
  readonly #seen: Burst<LedgerEntry>;

  constructor(clock: Clock, log: ActorLog, ours: string) {
    this.#seen = new Burst(clock, (entries) => {
      for (const [identity, theirs] of Map.groupBy(entries, (entry) => entry.identity)) {
        const fields = { identity, ours, ledgers: theirs.length, host: theirs[0]?.host };
        log.warn(fields, 'ledgers of another identity left alone');
      }
    });
  }

  seen(entry: LedgerEntry): void {
    if (!this.#hosts.has(entry.host)) this.#seen.add(entry);
    this.#hosts.add(entry.host);
  }

  close(): void {
    this.#seen.close();
  }
}
