import type { LoopDelay } from './probe.ts';
import type { ThreadDeath } from './thread-death.ts';

/** Those for the Lease, one in some seconds, not counted. */
export interface Calls {
  readonly kubernetes: number;
  readonly cloudflare: number;
}

/** What one phase took. */
export interface Cost extends LoopDelay {
  readonly cpuMs: number;
  readonly calls: Calls;
}

export interface Start extends Cost {
  /** From the start of the process, milliseconds: the first and the last host that answered 200. */
  readonly firstServedMs: number;
  readonly allServedMs: number;
  /** Every connection of every tunnel is registered, and `/readyz` says so. */
  readonly allConnectedMs: number;
  readonly readyMs: number;
}

export interface Idle extends LoopDelay {
  readonly seconds: number;
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly rssMib: number;
  readonly peakRssMib: number;
  readonly mibPerHour: number;
  readonly calls: Calls;
}

/** One world. Times are milliseconds, and null is "not asked for". */
export interface Measured {
  readonly ingresses: number;
  readonly haConnections: number;
  threads: number | null;
  first: (Start & { readonly ingresses: number }) | null;
  cold: Start | null;
  idle: Idle | null;
  /** From the Ingress' creation to its first answer, Cloudflare's imitated API included. */
  newIngress: (Cost & { readonly answeredMs: readonly number[] }) | null;
  /** Until the last of them answers at its new path. */
  change:
    | (Cost & { readonly ingresses: number; readonly allAnsweredMs: number; readonly cpuMsEach: number })
    | null;
  /** `lagMs`: from an event to the first request that reaches the new address. */
  roll:
    | (Cost & {
        readonly events: number;
        readonly eventsPerMinute: number;
        /** What the controller takes of a core at rest, by far most of it for PINGs; the next two are beyond it. */
        readonly idleCpuPercent: number;
        readonly cpuMsEach: number;
        /** The same for the first events in the life of the process, while its threads compile the code for them. */
        readonly firstCpuMsEach: number;
        readonly lagMs: readonly number[];
      })
    | null;
  threadDeath: ThreadDeath | null;
  stopMs: number | null;
}
