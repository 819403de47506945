import type { TunnelState } from '../actors/ports.ts';
import type { Apart } from '../runners/placement.ts';
import { durationBucketsSeconds, type TunnelCounts } from '../tunnel/link.ts';

/** One line of a metric, as prom-client prints it. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** When it is not the metric's own name: `…_bucket`. */
  readonly metricName?: string;
}

export interface TunnelRow {
  readonly ingress: string;
  readonly host: string;
  readonly state: TunnelState;
  readonly connections: number;
  /** With whom it shares threads because threads died under it; null when it is not kept apart. */
  readonly quarantine: Apart | null;
}

const tunnelStates = [
  'provisioning',
  'waiting',
  'starting',
  'up',
  'failed',
  'closing',
] as const satisfies readonly TunnelState[];

const codeClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

interface HostRecord {
  /** By Ingress: for a while a host may leave one and come to another. */
  readonly states: Map<string, TunnelState>;
  connections: number | null;
  readonly restarts: Map<string, number>;
  readonly requests: number[];
  readonly durations: number[];
  durationSumSeconds: number;
  readonly originErrors: Map<string, number>;
}

/**
 * What is counted per host. A host is known from its first state until no Ingress has it any more; then all
 * its series go, or names that come and go would fill the memory. What arrives late is dropped.
 */
export class HostRecords {
  readonly #hosts = new Map<string, HostRecord>();

  state(ingress: string, host: string, state: TunnelState | null): void {
    const record = this.#hosts.get(host);
    if (state !== null) {
      const known = record ?? newRecord();
      known.states.set(ingress, state);
      this.#hosts.set(host, known);
    } else if (record !== undefined) {
      record.states.delete(ingress);
      if (record.states.size === 0) this.#hosts.delete(host);
    }
  }

  connections(host: string, registered: number | null): void {
    const record = this.#hosts.get(host);
    if (record !== undefined) record.connections = registered;
  }

  restarted(host: string, reason: string): void {
    add(this.#hosts.get(host)?.restarts, reason, 1);
  }

  counted(host: string, counts: TunnelCounts): void {
    const record = this.#hosts.get(host);
    if (record === undefined) return;
    addEach(record.requests, counts.requests);
    addEach(record.durations, counts.durations);
    record.durationSumSeconds += counts.durationSumSeconds;
    for (const [reason, count] of Object.entries(counts.originErrors))
      add(record.originErrors, reason, count);
  }

  /** By host, then Ingress. */
  rows(quarantined: ReadonlyMap<string, Apart>): readonly TunnelRow[] {
    return this.#each((host, { states, connections }) =>
      Array.from(states, ([ingress, state]) => ({
        ingress,
        host,
        state,
        connections: connections ?? 0,
        quarantine: quarantined.get(host) ?? null,
      })),
    ).toSorted((a, b) => compare(a.host, b.host) || compare(a.ingress, b.ingress));
  }

  stateSamples(): readonly Sample[] {
    const counts = new Map<TunnelState, number>(tunnelStates.map((state) => [state, 0]));
    for (const { states } of this.#hosts.values()) for (const state of states.values()) add(counts, state, 1);
    return Array.from(counts, ([state, value]) => ({ labels: { state }, value }));
  }

  connectionSamples(): readonly Sample[] {
    return this.#each((host, { connections }) =>
      connections === null ? [] : [{ labels: { host }, value: connections }],
    );
  }

  restartSamples(): readonly Sample[] {
    return this.#each((host, { restarts }) => byReason(host, restarts));
  }

  originErrorSamples(): readonly Sample[] {
    return this.#each((host, { originErrors }) => byReason(host, originErrors));
  }

  requestSamples(): readonly Sample[] {
    return this.#each((host, { requests }) =>
      requests.map((value, index) => ({ labels: { host, code_class: codeClasses[index] ?? 'none' }, value })),
    );
  }

  /** Prometheus' buckets are cumulative: each also counts what is in the ones below it. */
  durationSamples(name: string): readonly Sample[] {
    return this.#each((host, { durations, durationSumSeconds }) => {
      let count = 0;
      const buckets = durations.map((value, index) => {
        count += value;
        return {
          metricName: `${name}_bucket`,
          labels: { host, le: durationBucketsSeconds[index] ?? '+Inf' },
          value: count,
        };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels: { host }, value: durationSumSeconds },
        { metricName: `${name}_count`, labels: { host }, value: count },
      ];
    });
  }

  #each<T>(of: (host: string, record: HostRecord) => readonly T[]): T[] {
    return Array.from(this.#hosts).flatMap(([host, record]) => of(host, record));
  }
}

function newRecord(): HostRecord {
  return {
    states: new Map(),
    connections: null,
    restarts: new Map(),
    requests: codeClasses.map(() => 0),
    durations: [...durationBucketsSeconds, Number.POSITIVE_INFINITY].map(() => 0),
    durationSumSeconds: 0,
    originErrors: new Map(),
  };
}

function byReason(host: string, counts: ReadonlyMap<string, number>): Sample[] {
  return Array.from(counts, ([reason, value]) => ({ labels: { host, reason }, value }));
}

function add<K>(counts: Map<K, number> | undefined, key: K, by: number): void {
  counts?.set(key, (counts.get(key) ?? 0) + by);
}

function addEach(totals: number[], more: readonly number[]): void {
  for (const [index, total] of totals.entries()) totals[index] = total + (more[index] ?? 0);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
