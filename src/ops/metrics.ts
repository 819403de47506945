import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import type { Telemetry } from '../actors/ports.ts';
import type { AdapterHooks, CloudflareAdapter } from '../cloudflare/adapter.ts';
import type { Problem } from '../domain/ingress.ts';
import type { KernelProbe } from '../kernel/probe.ts';
import type { WatchTelemetry } from '../kube/watch.ts';
import type { ThreadRunner } from '../runners/thread-runner.ts';
import type { TunnelCounts } from '../tunnel/link.ts';
import { collectHosts, collectInto, prefix } from './host-metrics.ts';
import { HostRecords, type TunnelRow } from './host-records.ts';

/** All that the process counts, each part as the one who counts it knows it. Nothing here ever throws. */
export interface Metrics {
  readonly telemetry: Telemetry;
  readonly kernel: KernelProbe;
  readonly watch: WatchTelemetry;
  readonly cloudflare: AdapterHooks;
  /** Who is asked how many calls to Cloudflare may be made; before there is somebody the metric has no value. */
  budgetOf(adapter: Pick<CloudflareAdapter, 'budgetRemaining'>): void;
  /** Who is asked which tunnels are in quarantine; before there is somebody none is. */
  quarantineOf(runner: Pick<ThreadRunner, 'quarantined'>): void;
  /** Requests of one tunnel since the last time; unknown hosts are dropped. */
  tunnelCounted(host: string, counts: TunnelCounts): void;
  /** Tunnels on one worker thread; null when the thread has ended. */
  threadTunnels(thread: string, tunnels: number | null): void;
  leads(isLeader: boolean): void;
  /** For the status page. */
  tunnels(): readonly TunnelRow[];
  readonly contentType: string;
  /** In Prometheus' text format. */
  text(): Promise<string>;
}

const readySeconds = [0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300];

/** A registry of its own: two controllers in one process (tests) do not count into each other. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const hosts = new HostRecords();
  const threads = new Map<string, number>();
  /** Letters, by kind of actor: twice for every message, for which prom-client's own gauge is too dear. */
  const waiting = new Map<string, number>();
  const problems = new Map<string, readonly Problem[]>();
  let quarantined: ThreadRunner['quarantined'] = () => new Map();
  let budget: Pick<CloudflareAdapter, 'budgetRemaining'> | null = null;

  const counter = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: prefix + name, help, labelNames, registers });
  const gauge = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: prefix + name, help, labelNames, registers });

  const collect = collectInto(registry);
  collect('tunnels', 'Tunnels by state.', 'gauge', () => hosts.stateSamples());
  collect('tunnel_restarts_total', 'Restarts of tunnels.', 'counter', () => hosts.restartSamples());
  collectHosts(collect, hosts);
  // As many at a time as the parser keeps of each Ingress, and gone when they are mended.
  collect(
    'ingress_problems',
    'What is wrong with Ingresses, 1 for each; as their Events say it.',
    'gauge',
    () =>
      Array.from(problems).flatMap(([ingress, each]) =>
        each.map(({ where, message }) => ({ labels: { ingress, where, message }, value: 1 })),
      ),
  );
  collect('cloudflare_budget_remaining', "Calls to Cloudflare's API that may be made now.", 'gauge', () =>
    budget === null ? [] : [{ labels: {}, value: budget.budgetRemaining }],
  );
  collect('threads', 'Worker threads.', 'gauge', () => [{ labels: {}, value: threads.size }]);
  collect('thread_tunnels', 'Tunnels on a worker thread.', 'gauge', () =>
    Array.from(threads, ([thread, value]) => ({ labels: { thread }, value })),
  );

  collect(
    'tunnel_quarantined',
    'Tunnels kept apart because threads died under them, 1 for each; company is with whom they share threads.',
    'gauge',
    () => Array.from(quarantined(), ([host, company]) => ({ labels: { host, company }, value: 1 })),
  );

  collect('actor_mailbox_depth', 'Messages that wait, by kind of actor.', 'gauge', () =>
    Array.from(waiting, ([actor, value]) => ({ labels: { actor }, value })),
  );
  const actorRestarts = counter('actor_restarts_total', 'Restarts of actors.', ['actor']);
  const actorKills = counter('actor_kills_total', 'Actors that did not stop in time.', ['actor']);
  const deadLetters = counter('dead_letters_total', 'Messages to actors that had ended.');
  const watchEvents = counter('watch_events_total', 'Events of the watches.', ['kind', 'type']);
  const watchRestarts = counter('watch_restarts_total', 'Watches that ended and began again.', [
    'kind',
    'reason',
  ]);
  const timeToReady = new Histogram({
    name: `${prefix}time_to_ready_seconds`,
    help: 'From a host that is wanted to its first registered connection.',
    buckets: readySeconds,
    registers,
  });
  const cloudflareCalls = counter('cloudflare_calls_total', "Calls to Cloudflare's API.", ['op', 'code']);
  const cloudflareTunnels = gauge(
    'cloudflare_tunnels',
    "Tunnels of the account as last counted, whosever they are; Cloudflare's limit is 1,000.",
  );
  const leader = gauge('leader', '1 while this process leads.');

  return {
    telemetry: {
      tunnelState: (ingress, host, state) => hosts.state(ingress, host, state),
      tunnelConnections: (host, registered) => hosts.connections(host, registered),
      tunnelRestarted: (host, reason) => hosts.restarted(host, reason),
      timeToReady: (seconds) => timeToReady.observe(seconds),
      ingressProblems(ingress, found) {
        if (found.length === 0) problems.delete(ingress);
        else problems.set(ingress, found);
      },
    },
    kernel: {
      deadLetter: () => deadLetters.inc(),
      restarted: (_path, actor) => actorRestarts.inc({ actor }),
      killed: (_path, actor) => actorKills.inc({ actor }),
      mailboxDepth: (actor, delta) => void waiting.set(actor, (waiting.get(actor) ?? 0) + delta),
    },
    watch: {
      events: (kind, type) => watchEvents.inc({ kind, type }),
      restarts: (kind, reason) => watchRestarts.inc({ kind, reason }),
    },
    cloudflare: {
      called: (op, code) => cloudflareCalls.inc({ op, code }),
      tunnelsCounted: (tunnels) => cloudflareTunnels.set(tunnels),
    },
    quarantineOf(runner) {
      quarantined = () => runner.quarantined();
    },
    budgetOf(adapter) {
      budget = adapter;
    },
    tunnelCounted: (host, counts) => hosts.counted(host, counts),
    threadTunnels(thread, tunnels) {
      if (tunnels === null) threads.delete(thread);
      else threads.set(thread, tunnels);
    },
    leads: (isLeader) => leader.set(isLeader ? 1 : 0),
    tunnels: () => hosts.rows(quarantined()),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
