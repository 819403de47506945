import type { Metric, Registry } from 'prom-client';
import type { HostRecords, Sample } from './host-records.ts';

export const prefix = 'warp_ingress_';

/** Adds a metric whose samples are read when they are asked for, from what is kept anyway. */
export type Collect = (
  name: string,
  help: string,
  type: 'counter' | 'gauge' | 'histogram',
  samples: (name: string) => readonly Sample[],
) => void;

export function collectInto(registry: Registry): Collect {
  return (name, help, type, samples) => {
    const full = prefix + name;
    const metric = {
      name: full,
      help,
      type,
      get: async () => ({ name: full, help, type, values: samples(full) }),
    };
    // A registry asks its metrics for no more than this, but its type names prom-client's own classes.
    registry.registerMetric(metric as unknown as Metric);
  };
}

/** What is known where connectors run, whoever runs them. */
export function collectHosts(collect: Collect, hosts: HostRecords): void {
  collect('tunnel_connections', 'Registered connections to the edge.', 'gauge', () =>
    hosts.connectionSamples(),
  );
  collect('requests_total', 'Requests by class of the answer; none: no answer was sent.', 'counter', () =>
    hosts.requestSamples(),
  );
  collect('request_duration_seconds', 'From request to the end of the answer.', 'histogram', (name) =>
    hosts.durationSamples(name),
  );
  collect('origin_errors_total', 'Requests that failed at the origin.', 'counter', () =>
    hosts.originErrorSamples(),
  );
}
