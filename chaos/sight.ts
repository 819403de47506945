import type { Arena } from './arena.ts';

/** How often the world is looked at, milliseconds: the grain of what is measured. */
export const lookEveryMs = 20;

/** What the controllers can see of the cluster: all of it while every watch is open and tells. Made when it is. */
export class Sight {
  readonly #arena: Arena;
  /** Watches of controllers that see everything. */
  readonly #allWatches: number;
  readonly #timer: NodeJS.Timeout;
  #sinceMs: number;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#allWatches = this.watches;
    this.#sinceMs = arena.now();
    this.#timer = setInterval(() => this.look(), lookEveryMs);
  }

  /** Since when they see all of it; infinite while they do not. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  get watches(): number {
    return this.#arena.world.kubernetes.watchCount();
  }

  look(): void {
    const seesAll = this.watches >= this.#allWatches;
    this.#sinceMs = seesAll ? Math.min(this.#sinceMs, this.#arena.now()) : Number.POSITIVE_INFINITY;
  }

  /** They have seen all of it without a break for so long, and all of what there was at this moment. */
  hasLasted(sinceMs: number, forMs: number): boolean {
    return this.#arena.now() >= Math.max(sinceMs, this.#sinceMs) + forMs;
  }

  toString(): string {
    return `${this.watches} of ${this.#allWatches} watches`;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
