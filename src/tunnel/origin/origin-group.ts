import type { OriginSettings } from '../../domain/ingress.ts';
import type { Caller, OriginConnection } from './exchange.ts';
import type { OriginFailure } from './origin-failure.ts';
import type { OriginPool } from './origin-pool.ts';
import type { Dial } from './origin-socket.ts';
import type { TcpConnection } from './tcp-connection.ts';

/** Addresses that one request tries before it is answered 502. */
const maxDials = 3;

const noPools: ReadonlySet<OriginPool> = new Set();

/** The addresses of one route's origin, at least one. Requests go where the least are under way. Owns nothing. */
export class OriginGroup {
  readonly settings: OriginSettings;
  readonly #pools: readonly OriginPool[];
  /** Where the search for the least busy begins: turns, so that idle addresses take turns, too. */
  #turn = 0;

  constructor(settings: OriginSettings, pools: readonly OriginPool[]) {
    this.settings = settings;
    this.#pools = pools;
  }

  /** Where the next request goes first: the least busy address, those that failed just now last. */
  choose(): OriginPool {
    return this.#pools.length === 1 ? this.#pools[0]! : this.#leastBusy(noPools)!;
  }

  /**
   * Opens a connection at `first`; while that fails, at the next least busy one, which is safe because nothing was
   * sent. One callback comes, later, unless the dial is cancelled.
   */
  dial(
    first: OriginPool,
    caller: Caller,
    connected: (connection: OriginConnection) => void,
    failed: (failure: OriginFailure) => void,
  ): Dial {
    return this.#dial(first, failed, (pool, last, miss) => pool.dial(caller, last, connected, miss));
  }

  /** The same for bytes that are no HTTP, beginning at the least busy address. */
  dialTcp(connected: (connection: TcpConnection) => void, failed: (failure: OriginFailure) => void): Dial {
    return this.#dial(this.choose(), failed, (pool, _last, miss) => pool.dialTcp(connected, miss));
  }

  #dial(
    first: OriginPool,
    failed: (failure: OriginFailure) => void,
    open: (pool: OriginPool, last: boolean, miss: (failure: OriginFailure) => void) => Dial,
  ): Dial {
    const tried = new Set<OriginPool>();
    const most = Math.min(maxDials, this.#pools.length);
    const dialNext = (pool: OriginPool): Dial => {
      tried.add(pool);
      return open(pool, tried.size === most, (failure) => {
        const next = tried.size < most ? this.#leastBusy(tried) : null;
        if (next === null) failed(failure);
        else current = dialNext(next);
      });
    };
    let current = dialNext(first);
    return { cancel: () => current.cancel() };
  }

  #leastBusy(tried: ReadonlySet<OriginPool>): OriginPool | null {
    const count = this.#pools.length;
    this.#turn = (this.#turn + 1) % count;
    let best: OriginPool | null = null;
    let bestAvoided = false;
    for (let i = 0; i < count; i += 1) {
      const pool = this.#pools[(this.#turn + i) % count]!;
      if (tried.has(pool)) continue;
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
