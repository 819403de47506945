import type { Timer } from '../../time/clock.ts';
import type { Caller, OriginConnection } from './exchange.ts';
import type { OriginFailure } from './origin-failure.ts';

export interface Waiter {
  readonly caller: Caller;
  /** Until when it waits for those sessions that there are, should no further one be had; of the monotonic clock. */
  readonly patientUntilMs: number;
  readonly connected: (connection: OriginConnection) => void;
  readonly failed: (failure: OriginFailure) => void;
}

/** Who waits for a place in a session, in the order of their requests. */
export class Waiters {
  #waiters: Waiter[] = [];

  get count(): number {
    return this.#waiters.length;
  }

  /** A request that was cut off by the end of a session came before others that wait. */
  join(waiter: Waiter): void {
    const before = this.#waiters.findLastIndex((other) => other.caller.sinceMs <= waiter.caller.sinceMs);
    this.#waiters.splice(before + 1, 0, waiter);
  }

  /** False when it does not wait any more. */
  leave(waiter: Waiter): boolean {
    const place = this.#waiters.indexOf(waiter);
    if (place >= 0) this.#waiters.splice(place, 1);
    return place >= 0;
  }

  /** The first, who waits no more. */
  next(): Waiter | undefined {
    return this.#waiters.shift();
  }

  /** Those whose patience is over hear `failure`. */
  failImpatient(nowMs: number, failure: OriginFailure): void {
    const failed = this.#waiters.filter(({ patientUntilMs }) => patientUntilMs <= nowMs);
    this.#waiters = this.#waiters.filter(({ patientUntilMs }) => patientUntilMs > nowMs);
    for (const waiter of failed) waiter.failed(failure);
  }

  failAll(failure: OriginFailure): void {
    for (const waiter of this.#waiters.splice(0)) waiter.failed(failure);
  }
}

/** One session on its way. */
export interface Opening {
  cancel: () => void;
}

/** Who waits for a place in a session with one server name, and what is on its way. */
export interface Line {
  readonly serverName: string;
  readonly waiters: Waiters;
  readonly openings: Set<Opening>;
  /** No further session could be opened while others carry on: why, and when it is tried again. */
  stuck: { readonly failure: OriginFailure; readonly redial: Timer } | null;
}
