/** How long an address that could not be reached is tried only where no other is left, milliseconds. */
export const avoidFailedMs = 5 * 60_000;

/** How long a region whose IPv6 addresses fail is used over IPv4 only, milliseconds. */
export const familyFallbackMs = 10 * 60_000;

interface Place {
  readonly ip: string;
  readonly port: number;
}

/** What one connector remembers of addresses that failed, beyond the list that they were on. */
export class EdgeFailures {
  readonly #untilMs = new Map<string, number>();
  readonly #fallbackUntilMs: [number, number] = [0, 0];

  unreachable(place: Place, nowMs: number): void {
    for (const [key, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(key);
    this.#untilMs.set(keyOf(place), nowMs + avoidFailedMs);
  }

  has(place: Place, nowMs: number): boolean {
    return (this.#untilMs.get(keyOf(place)) ?? 0) > nowMs;
  }

  /** The family that the resolver named first does not work in this region. */
  fallBack(region: 0 | 1, nowMs: number): void {
    this.#fallbackUntilMs[region] = nowMs + familyFallbackMs;
  }

  hasFallenBack(region: 0 | 1, nowMs: number): boolean {
    return nowMs < this.#fallbackUntilMs[region];
  }
}

function keyOf({ ip, port }: Place): string {
  return `${ip} ${port}`;
}
