/**
 * Which connection dials which edge address (protocol page section 3): two regions, and each address used by one
 * connection as long as there are enough. No I/O; the random number and the time come from the caller.
 *
 * cloudflared opens fewer connections when there are fewer addresses. Here they share: a single `--edge` is a
 * load balancer or a test edge, and all connections are wanted there, too.
 */

export interface EdgeAddress {
  /** IP address. */
  readonly ip: string;
  readonly port: number;
}

/** Addresses of the two regions in the order of their resolver. */
export type EdgeRegions = readonly [readonly EdgeAddress[], readonly EdgeAddress[]];

/** How long a region whose IPv6 addresses fail is used over IPv4 only, milliseconds. */
export const familyFallbackMs = 10 * 60_000;

interface Slot {
  readonly address: EdgeAddress;
  readonly users: Set<number>;
}

interface Region {
  /** Of the family that the resolver named first; tried first. */
  readonly primary: readonly Slot[];
  readonly secondary: readonly Slot[];
  secondaryUntilMs: number;
}

export class EdgeAddresses {
  readonly #regions: readonly [Region, Region];
  readonly #random: () => number;

  constructor(regions: EdgeRegions, random: () => number) {
    this.#regions = [regionOf(regions[0]), regionOf(regions[1])];
    this.#random = random;
  }

  /**
   * The address of a connection: the one it has, else a random unused one of the region with more unused ones,
   * else the least used one. Null only when there is no address at all.
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
   * `unreachable` the dial failed: a region whose IPv6 is tried first is then used over its other family for a
   * while.
   */
  rotate(connIndex: number, nowMs: number, unreachable: boolean): void {
    const slot = this.#slotOf(connIndex);
    if (slot === null) return;
    const region = this.#regions.find(({ primary }) => primary.includes(slot));
    if (region !== undefined && unreachable && slot.address.ip.includes(':') && region.secondary.length > 0) {
      region.secondaryUntilMs = nowMs + familyFallbackMs;
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

  /** From the fuller of both active sets, then from whatever is least used anywhere. */
  #pick(nowMs: number, not: Slot | null): Slot | null {
    const unused = (slots: readonly Slot[]) => slots.filter((slot) => slot.users.size === 0 && slot !== not);
    const [first, second] = this.#regions.map((region) => unused(activeSet(region, nowMs))) as [
      Slot[],
      Slot[],
    ];
    const tie = first.length === second.length && this.#random() < 0.5;
    const fuller = first.length > second.length || tie ? first : second;
    const others = this.#slots().filter((slot) => slot !== not);
    const candidates = fuller.length > 0 ? fuller : leastUsed(others);
    return candidates[Math.floor(this.#random() * candidates.length)] ?? null;
  }
}

function leastUsed(slots: readonly Slot[]): readonly Slot[] {
  const fewest = Math.min(...slots.map(({ users }) => users.size));
  return slots.filter(({ users }) => users.size === fewest);
}

function activeSet(region: Region, nowMs: number): readonly Slot[] {
  const fallenBack = nowMs < region.secondaryUntilMs;
  return fallenBack || region.primary.length === 0 ? region.secondary : region.primary;
}

function regionOf(addresses: readonly EdgeAddress[]): Region {
  const isV6 = ({ ip }: EdgeAddress): boolean => ip.includes(':');
  const first = addresses[0];
  const primaryIsV6 = first !== undefined && isV6(first);
  const slots = addresses.map((address): Slot => ({ address, users: new Set() }));
  return {
    primary: slots.filter((slot) => isV6(slot.address) === primaryIsV6),
    secondary: slots.filter((slot) => isV6(slot.address) !== primaryIsV6),
    secondaryUntilMs: 0,
  };
}
