import type { Origin, OriginAddress, Route, RouteTable } from '../../domain/routes.ts';
import type { Clock } from '../../time/clock.ts';
import type { OriginFailure } from './origin-failure.ts';
import { OriginGroup } from './origin-group.ts';
import { OriginPool } from './origin-pool.ts';

/**
 * All origins of one tunnel. Owns the pools: an address that stays keeps its connections when the table around
 * it changes; one that goes is drained.
 */
export class Origins {
  readonly #clock: Clock;
  #groups = new Map<Route, OriginGroup>();
  /** By everything that makes connections different. */
  #pools = new Map<string, OriginPool>();
  /** Pools of former tables that may still be in use. */
  #draining: OriginPool[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  update(table: RouteTable): void {
    const former = this.#pools;
    const pools = new Map<string, OriginPool>();
    this.#groups = new Map();
    for (const route of table.routes) {
      if (route.target.kind !== 'origin') continue;
      const origin = route.target.origin;
      const used = origin.addresses.map((address) => {
        const key = poolKey(origin, address);
        const pool = pools.get(key) ?? former.get(key) ?? new OriginPool(origin, address, this.#clock);
        pools.set(key, pool);
        return pool;
      });
      if (used.length > 0) this.#groups.set(route, new OriginGroup(origin.settings, used));
    }
    this.#pools = pools;
    this.#draining = this.#draining.filter((pool) => !pool.empty);
    for (const [key, pool] of former) {
      if (pools.has(key)) continue;
      pool.close();
      this.#draining.push(pool);
    }
  }

  /** The origin of a route of the last table. */
  of(route: Route): OriginGroup | null {
    return this.#groups.get(route) ?? null;
  }

  /** Everything ends now; whoever waits or reads hears `failure`. Idempotent. */
  destroy(failure: OriginFailure): void {
    for (const pool of [...this.#pools.values(), ...this.#draining]) pool.destroy(failure);
  }
}

function poolKey(origin: Origin, address: OriginAddress): string {
  return JSON.stringify([address.host, address.port, origin.settings, origin.ca]);
}
