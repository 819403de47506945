import type { OriginSettings } from '../../domain/ingress.ts';
import type { Http1Connection } from './http1-connection.ts';
import type { OriginFailure } from './origin-failure.ts';
import type { OriginPool } from './origin-pool.ts';
import type { Dial } from './origin-socket.ts';

/** Addresses that one request tries before it is answered 502. */
const maxDials = 3;

/** The addresses of one route's origin. Requests go where the least are under way. Owns nothing. */
export class OriginGroup {
  readonly settings: OriginSettings;
  readonly #pools: readonly OriginPool[];
  /** Where the search for the least busy begins: turns, so that idle addresses take turns, too. */
  #turn = 0;

  constructor(settings: OriginSettings, pools: readonly OriginPool[]) {
    this.settings = settings;
    this.#pools = pools;
  }

  /** An idle connection at the least busy address, or null: `dial` one. */
  take(serverName: string): Http1Connection | null {
    return this.#leastBusy(null)?.take(serverName) ?? null;
  }

  /**
   * Opens a connection at the least busy address; while that fails, at the next, which is safe because nothing was
   * sent. One callback comes, later, unless the dial is cancelled.
   */
  dial(
    serverName: string,
    connected: (connection: Http1Connection) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial {
    const tried = new Set<OriginPool>();
    let current: Dial | null = null;
    const next = (before: OriginFailure): void => {
      const pool = tried.size < maxDials ? this.#leastBusy(tried) : null;
      if (pool === null) return failed(before);
      tried.add(pool);
      current = pool.dial(serverName, connected, next);
    };
    next({ reason: 'other', message: 'the route has no origin address' });
    return { cancel: () => current?.cancel() };
  }

  #leastBusy(tried: ReadonlySet<OriginPool> | null): OriginPool | null {
    const count = this.#pools.length;
    if (count === 1 && tried === null) return this.#pools[0]!;
    this.#turn = (this.#turn + 1) % Math.max(1, count);
    let best: OriginPool | null = null;
    let bestAvoided = false;
    for (let i = 0; i < count; i += 1) {
      const pool = this.#pools[(this.#turn + i) % count]!;
      if (tried?.has(pool)) continue;
      const avoided = pool.avoided;
      const better =
        best === null || (avoided === bestAvoided ? pool.outstanding < best.outstanding : bestAvoided);
      if (!better) continue;
      best = pool;
      bestAvoided = avoided;
    }
    return best;
  }
}
