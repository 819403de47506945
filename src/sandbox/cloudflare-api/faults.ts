/** Switches that make the imitation fail on purpose. All are off at the start; `clear` turns them off again. */
export class FaultSwitches {
  /** Every answer waits this long, milliseconds. */
  delayMs = 0;
  /** Nothing is answered: connections are cut as soon as a request has arrived. */
  outage = false;
  /** Calls are heard and never answered, until it is switched off. */
  hang = false;
  readonly #planned: PlannedFault[] = [];

  /** The next `count` calls that match end like this instead of being carried out. */
  failNext(fault: Omit<PlannedFault, 'lostAnswer'>): void {
    this.#planned.push({ ...fault, lostAnswer: false });
  }

  /** The next `count` calls that match are carried out, but the connection is cut before the answer. */
  loseAnswers(count: number, matches?: CallMatcher): void {
    this.#planned.push({ count, status: 0, lostAnswer: true, ...(matches && { matches }) });
  }

  clear(): void {
    this.delayMs = 0;
    this.outage = false;
    this.hang = false;
    this.#planned.length = 0;
  }

  /** What was planned for this call, if anything; counts it off. */
  take(method: string, path: string): PlannedFault | null {
    const index = this.#planned.findIndex((fault) => fault.matches?.(method, path) ?? true);
    const fault = this.#planned[index];
    if (fault === undefined) return null;
    if (fault.count > 1) this.#planned[index] = { ...fault, count: fault.count - 1 };
    else this.#planned.splice(index, 1);
    return fault;
  }
}

export interface PlannedFault {
  readonly count: number;
  readonly status: number;
  readonly code?: number;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
  /** Which calls are meant; all when left out. `path` has no query. */
  readonly matches?: CallMatcher;
  readonly lostAnswer: boolean;
}

export type CallMatcher = (method: string, path: string) => boolean;
