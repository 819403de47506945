/**
 * Which connection dials which edge address: two regions, each address used by at most one connection
 * (protocol page section 3). No I/O; the random number and the time come from the caller.
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
  usedBy: number | null;
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

  get size(): number {
    return this.#slots().length;
  }

  /**
   * The address of a connection: the one it has, else a random unused one of the region with more unused ones.
   * Null when all are used by others.
   */
  take(connIndex: number, nowMs: number): EdgeAddress | null {
    const held = this.#slotOf(connIndex);
    const slot = held ?? this.#unused(nowMs, null);
    if (slot === null) return null;
    slot.usedBy = connIndex;
    return slot.address;
  }

  /** Marks an address as the connection's, if it is here and unused: for a list that was looked up again. */
  keep(connIndex: number, address: EdgeAddress): void {
    const same = ({ address: { ip, port } }: Slot): boolean => ip === address.ip && port === address.port;
    const slot = this.#slots().find((candidate) => candidate.usedBy === null && same(candidate));
    if (slot !== undefined) slot.usedBy = connIndex;
  }

  /**
   * Gives the connection's address back and takes another. Keeps the same one when no other is unused. With
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
    const other = this.#unused(nowMs, slot);
    if (other === null) return;
    slot.usedBy = null;
    other.usedBy = connIndex;
  }

  #slots(): readonly Slot[] {
    return this.#regions.flatMap(({ primary, secondary }) => [...primary, ...secondary]);
  }

  #slotOf(connIndex: number): Slot | null {
    return this.#slots().find((slot) => slot.usedBy === connIndex) ?? null;
  }

  /** From the fuller of both active sets, then from whatever is left in the families that rest. */
  #unused(nowMs: number, not: Slot | null): Slot | null {
    const free = (slots: readonly Slot[]) => slots.filter((slot) => slot.usedBy === null && slot !== not);
    const [first, second] = this.#regions.map((region) => free(activeSet(region, nowMs))) as [Slot[], Slot[]];
    const tie = first.length === second.length && this.#random() < 0.5;
    const fuller = first.length > second.length || tie ? first : second;
    const candidates = fuller.length > 0 ? fuller : free(this.#slots());
    return candidates[Math.floor(this.#random() * candidates.length)] ?? null;
  }
}

function activeSet(region: Region, nowMs: number): readonly Slot[] {
  const fallenBack = nowMs < region.secondaryUntilMs;
  return fallenBack || region.primary.length === 0 ? region.secondary : region.primary;
}

function regionOf(addresses: readonly EdgeAddress[]): Region {
  const isV6 = ({ ip }: EdgeAddress): boolean => ip.includes(':');
  const first = addresses[0];
  const primaryIsV6 = first !== undefined && isV6(first);
  const slots = addresses.map((address): Slot => ({ address, usedBy: null }));
  return {
    primary: slots.filter((slot) => isV6(slot.address) === primaryIsV6),
    secondary: slots.filter((slot) => isV6(slot.address) !== primaryIsV6),
    secondaryUntilMs: 0,
  };
}
