import type { Arena } from './arena.ts';
import type { FaultKind, FaultRule } from './faults.ts';
import type { Load } from './load.ts';
import { concerned, type FaultRecord } from './verdict.ts';

/** How often the world is looked at, milliseconds: the grain of what is measured. */
export const lookEveryMs = 20;

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
 * the fault's end. Looks at the world, never at what the controller says of itself.
 */
export class Recovery {
  readonly #arena: Arena;
  readonly #load: Load;
  readonly #hosts: readonly string[];
  readonly #open = new Set<OpenFault>();
  readonly #timer: NodeJS.Timeout;

  constructor(arena: Arena, load: Load, hosts: readonly string[]) {
    this.#arena = arena;
    this.#load = load;
    this.#hosts = hosts;
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
    for (const fault of this.#open) {
      if (fault.endMs > nowMs) continue;
      const hosts = concerned(fault, this.#hosts);
      for (const host of hosts) {
        if (!fault.wholeMs.has(host) && this.isWhole(host, fault.endMs)) fault.wholeMs.set(host, nowMs);
      }
      if (fault.wholeMs.size === hosts.length) this.#open.delete(fault);
    }
  }
}
