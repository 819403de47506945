import Registry from 'prom-client/lib/registry.js';
import type { TunnelCounts } from '../tunnel/link.ts';
import { collectHosts, collectInto } from './host-metrics.ts';
import { HostRecords } from './host-records.ts';

/** What a connector in a process of its own counts, under the names that the controller has for its own tunnels. */
export interface TunnelMetrics {
  readonly contentType: string;
  /** Since the last time. */
  counted(counts: TunnelCounts): void;
  connections(registered: number): void;
  /** In Prometheus' text format. */
  text(): Promise<string>;
}

export function createTunnelMetrics(host: string): TunnelMetrics {
  const registry = new Registry();
  const hosts = new HostRecords();
  // Makes the host known for as long as the process lives.
  hosts.state('', host, 'starting');
  collectHosts(collectInto(registry), hosts);
  return {
    contentType: registry.contentType,
    counted: (counts) => hosts.counted(host, counts),
    connections: (registered) => hosts.connections(host, registered),
    text: () => registry.metrics(),
  };
}
