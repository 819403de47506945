import { EdgeFailures } from './edge-failures.ts';

/**
 * Which connection dials which edge address (protocol page section 3): two regions, and each address used by one
 * connection as long as there are enough. No I/O; the random number and the time come from the caller.
 *
 * cloudflared opens fewer connections when there are fewer addresses. Here they share: a single `--edge` is a
 * load balancer or a test edge, and all connections are wanted there, too. And cloudflared looks for another
 * address in the region with more unused ones, which is the dead one when a region is down.
 */

export interface EdgeAddress {
  /** IP address. */
  readonly ip: string;
  readonly port: number;
}

/** Addresses of the two regions in the order of their resolver. */
export type EdgeRegions = readonly [readonly EdgeAddress[], readonly EdgeAddress[]];

/** So many addresses that could not be reached of late, and their region is left alone where possible. */
const suspectFailures = 2;

interface Slot {
  readonly address: EdgeAddress;
  readonly users: Set<number>;
}

interface Region {
  readonly index: 0 | 1;
  /** Of the family that the resolver named first; tried first. */
  readonly primary: readonly Slot[];
  readonly secondary: readonly Slot[];
}

export class EdgeAddresses {
  readonly #regions: readonly [Region, Region];
  readonly #random: () => number;
  readonly #failures: EdgeFailures;

  /** `failures` outlives this list. */
  constructor(regions: EdgeRegions, random: () => number, failures: EdgeFailures = new EdgeFailures()) {
    this.#regions = [regionOf(0, regions[0]), regionOf(1, regions[1])];
    this.#random = random;
    this.#failures = failures;
  }

  /**
   * The address of a connection: the one it has, else a random unused one of the region with more unused ones,
   * else the least used one; those that failed of late come last. Null only when there is no address at all.
   */
  take(connIndex: number, nowMs: number): EdgeAddress | null {
    const slot = this.#slotOf(connIndex) ?? this.#pick(nowMs, null);
    slot?.users.add(connIndex);
    return slot?.address ?? null;
  }

  /** Marks an address as the connection's, if it is here: for a list that was looked up again. */
  keep(connIndex: number, address: EdgeAddress): void {
    const same = this.#slots().filter(
      (slot) => slot.address.ip === address.ip && slot.address.port === address.port,
    );
    leastUsed(same)[0]?.users.add(connIndex);
  }

  /**
   * Gives the connection's address back and takes another. Keeps the same one when there is no other. With
   * `unreachable` the dial failed: the address is avoided for a while, and a region whose IPv6 is tried first is
   * used over its other family.
   */
  rotate(connIndex: number, nowMs: number, unreachable: boolean): void {
    const slot = this.#slotOf(connIndex);
    if (slot === null) return;
    if (unreachable) {
      this.#failures.unreachable(slot.address, nowMs);
      const region = this.#regions.find(({ primary }) => primary.includes(slot));
      if (region !== undefined && slot.address.ip.includes(':') && region.secondary.length > 0) {
        this.#failures.fallBack(region.index, nowMs);
      }
    }
    const other = this.#pick(nowMs, slot);
    if (other === null) return;
    slot.users.delete(connIndex);
    other.users.add(connIndex);
  }

  #slots(): readonly Slot[] {
    return this.#regions.flatMap(({ primary, secondary }) => [...primary, ...secondary]);
  }

  #slotOf(connIndex: number): Slot | null {
    return this.#slots().find(({ users }) => users.has(connIndex)) ?? null;
  }

  /**
   * The first of these that there is: an unused address of the better region, the least used one of the good
   * regions, of both regions, of all addresses.
   */
  #pick(nowMs: number, not: Slot | null): Slot | null {
    const others = this.#slots().filter((slot) => slot !== not);
    const sound = this.#regions.map((region) =>
      this.#activeSet(region, nowMs).filter((slot) => slot !== not && !this.#hasFailed(slot, nowMs)),
    );
    const good = sound.filter((_, index) => !this.#isSuspect(this.#regions[index]!, nowMs));
    const candidates = [
      this.#fuller(good),
      leastUsed(good.flat()),
      leastUsed(sound.flat()),
      leastUsed(others),
    ];
    const found = candidates.find((slots) => slots.length > 0) ?? [];
    return found[Math.floor(this.#random() * found.length)] ?? null;
  }

  /** The unused ones of the region that has more of them. */
  #fuller(regions: readonly (readonly Slot[])[]): readonly Slot[] {
    const [first = [], second = []] = regions.map((slots) => slots.filter(({ users }) => users.size === 0));
    const tie = first.length === second.length && this.#random() < 0.5;
    return first.length > second.length || tie ? first : second;
  }

  #activeSet(region: Region, nowMs: number): readonly Slot[] {
    const fallenBack = this.#failures.hasFallenBack(region.index, nowMs);
    return fallenBack || region.primary.length === 0 ? region.secondary : region.primary;
  }

  #isSuspect(region: Region, nowMs: number): boolean {
    const failed = this.#activeSet(region, nowMs).filter((slot) => this.#hasFailed(slot, nowMs));
    return failed.length >= suspectFailures;
  }

  #hasFailed(slot: Slot, nowMs: number): boolean {
    return this.#failures.has(slot.address, nowMs);
  }
}

function leastUsed(slots: readonly Slot[]): readonly Slot[] {
  const fewest = Math.min(...slots.map(({ users }) => users.size));
  return slots.filter(({ users }) => users.size === fewest);
}

function regionOf(index: 0 | 1, addresses: readonly EdgeAddress[]): Region {
  const isV6 = ({ ip }: EdgeAddress): boolean => ip.includes(':');
  const first = addresses[0];
  const primaryIsV6 = first !== undefined && isV6(first);
  const slots = addresses.map((address): Slot => ({ address, users: new Set() }));
  return {
    index,
    primary: slots.filter((slot) => isV6(slot.address) === primaryIsV6),
    secondary: slots.filter((slot) => isV6(slot.address) !== primaryIsV6),
  };
}
