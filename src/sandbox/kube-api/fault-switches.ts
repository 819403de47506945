import type { Clock } from '../../time/clock.ts';
import { type FaultFilter, matchesFault, type RequestFault, RequestFaults } from './faults.ts';
import type { Store } from './store/store.ts';
import type { Watches } from './verbs/watch.ts';

/**
 * The switches by which a test, or the sandbox's admin port, makes the API server misbehave. Everything can
 * be filtered by resource; nothing outlives `heal`.
 */
export interface Faults {
  /** Requests that match fail, hang, are cut or wait. */
  add(fault: RequestFault): void;
  /** Forgets the history and tells open watches 410: clients must list again. */
  expireHistory(filter?: FaultFilter): void;
  /** Cuts the connections of open watches. */
  dropWatches(filter?: FaultFilter): void;
  /** Open watches stay connected and say nothing more. */
  hangWatches(filter?: FaultFilter): void;
  /** Every request, watches included, finds its connection cut, until it is switched off. */
  outage(on: boolean): void;
  /** Ends all of the above for what comes next; a silent watch stays silent. */
  heal(): void;
}

export class FaultSwitches implements Faults {
  readonly requests: RequestFaults;
  readonly #store: Store;
  readonly #watches: Watches;
  #out = false;

  constructor(store: Store, watches: Watches, clock: Clock) {
    this.requests = new RequestFaults(clock);
    this.#store = store;
    this.#watches = watches;
  }

  get out(): boolean {
    return this.#out;
  }

  add(fault: RequestFault): void {
    this.requests.add(fault);
  }

  expireHistory(filter: FaultFilter = {}): void {
    this.#store.compact();
    this.#watches.end(concerning(filter), true);
  }

  dropWatches(filter: FaultFilter = {}): void {
    this.#watches.cut(concerning(filter));
  }

  hangWatches(filter: FaultFilter = {}): void {
    this.#watches.silence(concerning(filter));
  }

  outage(on: boolean): void {
    this.#out = on;
    if (on) this.#watches.cut(() => true);
  }

  heal(): void {
    this.#out = false;
    this.requests.clear();
  }
}

function concerning(filter: FaultFilter): Parameters<Watches['cut']>[0] {
  return ({ path: { definition, namespace }, account }) =>
    matchesFault(
      { ...filter, verb: 'watch' },
      { resource: definition.plural, verb: 'watch', namespace, account },
    );
}
