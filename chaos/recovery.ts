import type { Arena } from './arena.ts';
import type { FaultRule } from './fault-rule.ts';
import { type FaultKind, stallRule } from './faults.ts';
import type { Host } from './hosts.ts';
import type { Load } from './load.ts';
import { lookEveryMs, type Sight } from './sight.ts';
import type { FaultRecord } from './verdict.ts';

/** A connector takes an edge that says nothing for 2 s for dead (`tunnel/heartbeat`); half of that is noted. */
const stallMs = 1_000;
/** From a watch that is open until what it tells has been acted upon. */
const catchUpMs = 300;

/** Something that happened at a moment of the run, in words. */
export interface Moment {
  readonly ms: number;
  readonly what: string;
}

/** A fault that has begun, as far as it is known how it went. */
export interface OpenFault extends FaultRecord {
  readonly rule: FaultRule;
  readonly kind: FaultKind | 'stall';
  hitMs: number;
  endMs: number;
  wholeMs: Map<string, number>;
}

/**
 * Sees hosts become whole again: all connections registered, not one too many, its pods rolled out, and both visitors
 * answered since the fault's end. After a fault that blinds, and after a change in the cluster, every watch must be open again and say
 * what happens, or an old connection to what is no more would pass for the new one. After one of a replica somebody
 * must lead. Looks at the world, never at what the controller says of itself.
 */
export class Recovery {
  readonly #arena: Arena;
  readonly #load: Load;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #open = new Set<OpenFault>();
  readonly #sight: Sight;
  readonly #timer: NodeJS.Timeout;
  readonly #moments: Moment[] = [];
  readonly #stalls: OpenFault[] = [];
  #lookedMs: number;
  /** What was noted last, by what it is about. */
  readonly #seen = new Map<string, number>();

  constructor(arena: Arena, load: Load, sight: Sight) {
    this.#arena = arena;
    this.#load = load;
    this.#hosts = new Map(arena.hosts.map((host) => [host.host, host]));
    this.#lookedMs = arena.now();
    this.#sight = sight;
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
    const about = this.#hosts.get(host)!;
    return (
      this.#arena.hasAllConnections(about) &&
      this.#arena.isRolledOut(about) &&
      this.#load.servesSince(host, sinceMs)
    );
  }

  /** How many connections and watches there were, whenever that changed. */
  get moments(): readonly Moment[] {
    return this.#moments;
  }

  /** When this process itself stood still. */
  get stalls(): readonly OpenFault[] {
    return this.#stalls;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = this.#arena.now();
    this.#sight.look();
    if (nowMs - this.#lookedMs > stallMs) this.#noteStall(this.#lookedMs, nowMs);
    this.#lookedMs = nowMs;
    this.#note(nowMs, 'watches', this.#sight.watches);
    for (const host of this.#hosts.keys()) {
      this.#note(nowMs, `${host} connections`, this.#arena.servingConnections(host));
    }
    for (const fault of this.#open) {
      if (fault.endMs > nowMs) continue;
      const { part, blinds } = fault.rule;
      const isChange = part === 'cluster';
      const seenMs = isChange || blinds === true ? this.#sight.sinceMs + (isChange ? catchUpMs : 0) : 0;
      if (seenMs > nowMs || (part === 'replicas' && !this.#arena.isLedSince(fault.endMs))) continue;
      const sinceMs = Math.max(fault.endMs, isChange ? seenMs : 0);
      for (const host of fault.hosts) {
        if (!fault.wholeMs.has(host) && this.isWhole(host, sinceMs)) fault.wholeMs.set(host, nowMs);
      }
      if (fault.wholeMs.size === fault.hosts.length) this.#open.delete(fault);
    }
  }

  #noteStall(startMs: number, endMs: number): void {
    const stall: OpenFault = {
      index: this.#stalls.length,
      kind: 'stall',
      rule: stallRule,
      hosts: [...this.#hosts.keys()],
      startMs,
      hitMs: endMs,
      endMs,
      wholeMs: new Map(),
    };
    this.#stalls.push(stall);
    this.watch(stall);
  }

  #note(ms: number, about: string, count: number): void {
    if (this.#seen.get(about) === count) return;
    this.#seen.set(about, count);
    this.#moments.push({ ms, what: `${about}: ${count}` });
  }
}
