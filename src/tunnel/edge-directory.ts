import { failed, ok, type Result } from '../fault.ts';
import { type EdgeAddress, EdgeAddresses } from './edge-addresses.ts';
import { type DiscoveryDeps, discoverEdge } from './edge-discovery.ts';
import { EdgeFailures } from './edge-failures.ts';
import type { EdgeSettings } from './link.ts';

/** Addresses older than this are looked up again with the next dial after a failure, milliseconds. */
export const rediscoverAfterMs = 60_000;

/**
 * The edge addresses of one connector: looked up when first needed, and again when a connection fails after
 * they have aged, because a long-lived connector outlives any list of addresses. Until the new list is there the one of
 * before is dialled: what has cut connections off may have cut DNS off, too. Its owner calls `destroy`.
 */
export class EdgeDirectory {
  readonly #settings: EdgeSettings;
  readonly #deps: DiscoveryDeps;
  #addresses: EdgeAddresses | null = null;
  #discoveredAtMs = 0;
  #isStale = false;
  #discovery: Promise<Result<EdgeAddresses>> | null = null;
  readonly #ended = new AbortController();
  readonly #failures = new EdgeFailures();
  /** Where each connection is, or is to go next: it stays so when the addresses are looked up again. */
  readonly #held = new Map<number, EdgeAddress>();

  constructor(settings: EdgeSettings, deps: DiscoveryDeps) {
    this.#settings = settings;
    this.#deps = deps;
  }

  /** The address that the connection is to dial. Fails with `edge-discovery`. */
  async addressOf(connIndex: number): Promise<Result<EdgeAddress>> {
    if (this.#isStale) void this.#discoverOnce();
    const found = this.#addresses === null ? await this.#discoverOnce() : ok(this.#addresses);
    if (!found.ok) return found;
    const address = found.value.take(connIndex, this.#deps.clock.monotonic());
    if (address === null) return failed('edge-discovery', 'no address of the edge is known');
    this.#held.set(connIndex, address);
    return ok(address);
  }

  /** A connection failed: other addresses are tried next, where there are any. */
  rotate(connIndex: number, unreachable: boolean): void {
    const nowMs = this.#deps.clock.monotonic();
    this.#addresses?.rotate(connIndex, nowMs, unreachable);
    const next = this.#addresses?.take(connIndex, nowMs) ?? null;
    if (next !== null) this.#held.set(connIndex, next);
    if (nowMs - this.#discoveredAtMs >= rediscoverAfterMs) this.#isStale = true;
  }

  /** Looks nothing up any more. Idempotent. */
  destroy(): void {
    this.#ended.abort();
  }

  /** One lookup at a time, whoever asks. */
  #discoverOnce(): Promise<Result<EdgeAddresses>> {
    this.#discovery ??= this.#discover().finally(() => {
      this.#discovery = null;
    });
    return this.#discovery;
  }

  async #discover(): Promise<Result<EdgeAddresses>> {
    const regions = await discoverEdge(this.#settings, this.#deps, this.#ended.signal);
    if (!regions.ok) return regions;
    const addresses = new EdgeAddresses(regions.value, this.#deps.random, this.#failures);
    for (const [connIndex, address] of this.#held) addresses.keep(connIndex, address);
    this.#addresses = addresses;
    this.#isStale = false;
    this.#discoveredAtMs = this.#deps.clock.monotonic();
    return ok(addresses);
  }
}
