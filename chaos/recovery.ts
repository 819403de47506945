import type { Arena } from './arena.ts';
import type { FaultKind, FaultRule } from './faults.ts';
import type { Load } from './load.ts';
import { concerned, type FaultRecord } from './verdict.ts';

/** How often the world is looked at, milliseconds: the grain of what is measured. */
export const lookEveryMs = 20;
/** From a watch that is open until what it tells has been acted upon. */
const catchUpMs = 300;

/** A fault that has begun, as far as it is known how it went. */
export interface OpenFault extends FaultRecord {
  readonly rule: FaultRule;
  readonly kind: FaultKind;
  hitMs: number;
  endMs: number;
  wholeMs: Map<string, number>;
}

/**
 * Sees hosts become whole again: all connections registered, not one too many, and both visitors answered since
 * the fault's end. What was changed in the cluster must also have been seen: every watch is open again, or an old
 * connection to what is no more would pass for the new one. Looks at the world, never at what the controller says
 * of itself.
 */
export class Recovery {
  readonly #arena: Arena;
  readonly #load: Load;
  readonly #hosts: readonly string[];
  readonly #open = new Set<OpenFault>();
  /** Watches of a controller that sees everything. */
  readonly #allWatches: number;
  /** Since when it does; infinite while it does not. */
  #seesAllSinceMs = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(arena: Arena, load: Load, hosts: readonly string[]) {
    this.#arena = arena;
    this.#load = load;
    this.#hosts = hosts;
    this.#allWatches = arena.world.kubernetes.watchCount();
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
  }

  /** `endMs` is infinite until the fault ends. */
  watch(fault: OpenFault): void {
    this.#open.add(fault);
  }

  /** Of so many faults some host is not whole again. */
  get pending(): number {
    return this.#open.size;
  }

  isWhole(host: string, sinceMs: number): boolean {
    const { haConnections } = this.#arena;
    return this.#arena.servingConnections(host) === haConnections && this.#load.servesSince(host, sinceMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = this.#arena.now();
    const seesAll = this.#arena.world.kubernetes.watchCount() >= this.#allWatches;
    this.#seesAllSinceMs = seesAll ? Math.min(this.#seesAllSinceMs, nowMs) : Number.POSITIVE_INFINITY;
    for (const fault of this.#open) {
      if (fault.endMs > nowMs) continue;
      const changedMs = fault.rule.part === 'cluster' ? this.#seesAllSinceMs + catchUpMs : 0;
      if (changedMs > nowMs) continue;
      const sinceMs = Math.max(fault.endMs, changedMs);
      const hosts = concerned(fault, this.#hosts);
      for (const host of hosts) {
        if (!fault.wholeMs.has(host) && this.isWhole(host, sinceMs)) fault.wholeMs.set(host, nowMs);
      }
      if (fault.wholeMs.size === hosts.length) this.#open.delete(fault);
    }
  }
}
