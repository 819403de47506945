/**
 * How long connections were away, each of them known by its tunnel and its number: those that were lost apart from those
 * that took leave, because the controller moved them to another thread. Times are milliseconds.
 */
export class Absences {
  readonly #lostAtMs = new Map<string, number>();
  readonly #leftAtMs = new Map<string, number>();
  /** Here again before the end of the one in whose place they are was noticed. */
  readonly #early = new Set<string>();
  /** Of those that are back, in the order in which they came. */
  readonly lostForMs: number[] = [];
  readonly movedForMs: number[] = [];

  /** Lost ones that are not back. */
  get missing(): number {
    return this.#lostAtMs.size;
  }

  /** `atMs`: when its thread died, which may be before this was noticed. */
  lost(connection: string, atMs: number): void {
    if (this.#early.delete(connection)) this.lostForMs.push(0);
    else this.#lostAtMs.set(connection, atMs);
  }

  left(connection: string, nowMs: number): void {
    if (this.#early.delete(connection)) this.movedForMs.push(0);
    else this.#leftAtMs.set(connection, nowMs);
  }

  opened(connection: string, nowMs: number): void {
    const lostAtMs = this.#lostAtMs.get(connection);
    const leftAtMs = this.#leftAtMs.get(connection);
    if (lostAtMs !== undefined) this.lostForMs.push(nowMs - lostAtMs);
    else if (leftAtMs !== undefined) this.movedForMs.push(nowMs - leftAtMs);
    else this.#early.add(connection);
    this.#lostAtMs.delete(connection);
    this.#leftAtMs.delete(connection);
  }
}

/** What so much of them (0.99: 99 of 100) is not above; null of none. */
export function quantile(values: readonly number[], share: number): number | null {
  return values.toSorted((one, other) => one - other)[Math.ceil(values.length * share) - 1] ?? null;
}
