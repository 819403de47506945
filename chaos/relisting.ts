import type { Arena } from './arena.ts';
import type { Violation } from './verdict.ts';

/**
 * Sees whether a watch that was told 410 lists anew before it watches again. One that asks again for a past that is gone is told
 * 410 a second time with no list in between; it would come to itself after some failures, and within every bound.
 */
export class Relisting {
  readonly #told = new Map<string, number>();
  readonly #violations = new Set<Violation>();
  /** Idempotent. */
  readonly stop: () => void;

  /** Each replica has one watch of each resource. */
  constructor({ world: { kubernetes }, replicas }: Arena) {
    this.stop = kubernetes.onExpired((resource) => {
      const lists = kubernetes.calls.get(`list ${resource}`) ?? 0;
      const since = `${resource} ${lists}`;
      const times = (this.#told.get(since) ?? 0) + 1;
      this.#told.set(since, times);
      if (times > replicas.length) {
        this.#violations.add(`a watch of ${resource} was told 410, and watched again without a list`);
      }
    });
  }

  get violations(): readonly Violation[] {
    return [...this.#violations];
  }
}
