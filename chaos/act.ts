import type { Arena } from './arena.ts';
import type { Host } from './hosts.ts';

/** A fault that has begun. */
export interface Act {
  /** Resolves when nothing is open any more on what it took; at once when left out. */
  readonly hit?: Promise<void>;
  /** Makes it end; what it did at once has no end. */
  end?(): Promise<void> | void;
}

export interface Target {
  readonly host: Host;
  /** 32 bits for what there is to choose. */
  readonly pick: number;
}

/** Begins a fault; null when there is nothing now that it could break. */
export type Begin = (arena: Arena, target: Target) => Promise<Act | null> | Act | null;
