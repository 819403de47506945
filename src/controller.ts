import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { tendAccount } from './account-tending.ts';
import type { SupervisorMessage } from './actors/messages.ts';
import { supervisorSpec } from './actors/supervisor.ts';
import { createCloudflare } from './cloudflare/adapter.ts';
import { CredentialStore } from './cloudflare/credentials.ts';
import { type ControllerConfig, defaultIngressClass } from './config.ts';
import { type Fault, FaultError, fault, faultOf, type Result } from './fault.ts';
import { identityOnceReadable } from './identity.ts';
import { createActorSystem } from './kernel/system.ts';
import { KubeCaSecrets } from './kube/ca-secrets.ts';
import { connectKube, type KubeClient } from './kube/client.ts';
import { createElection } from './kube/election.ts';
import { createIngressSink } from './kube/ingress-sink.ts';
import { createLeaseStore, leaseName } from './kube/lease.ts';
import { createLedgerStore } from './kube/ledger-store.ts';
import type { PodTemplate } from './kube/pods/pod-template.ts';
import { createShardBorder } from './kube/shard-border.ts';
import { startWorld } from './kube/world.ts';
import type { Logger } from './log.ts';
import { createMetrics, type Metrics } from './ops/metrics.ts';
import type { Readiness } from './ops/status-page.ts';
import { startOps } from './ops.ts';
import { createPodRunner, readPodTemplate } from './pod-tunnels.ts';
import { runnerByPlace } from './runners/runner-by-place.ts';
import type { Running } from './running.ts';
import { createThreads } from './thread-tunnels.ts';
import { type Clock, systemClock } from './time/clock.ts';
import { readEdgeRoots } from './tunnel/edge-roots.ts';

export interface Controller extends Running {
  /** Of `/healthz`, `/readyz`, `/metrics` and the status page. */
  readonly metricsUrl: string;
}

/** Everything that was opened, closed in the reverse order: what is used outlives its users. */
type Closers = (() => Promise<void> | void)[];

/**
 * Composes the controller: adapters, actors, watches. Rejects with a `FaultError` for what makes a start
 * pointless (a setting, a port in use). What may still come, such as an API server that is away or a
 * credentials file that is not mounted yet, is waited for, with `/healthz` up and `/readyz` saying what for. `stop` drains
 * every tunnel and removes nothing at Cloudflare.
 */
export async function runController(
  config: ControllerConfig,
  log: Logger,
  clock: Clock = systemClock,
): Promise<Controller> {
  const closers: Closers = [];
  const ended = Promise.withResolvers<Fault | null>();
  const stopping = new AbortController();
  const metrics = createMetrics();
  const progress: Progress = { waitingFor: () => firstListing };

  async function close(): Promise<void> {
    for (const closer of closers.toReversed()) await closer();
  }

  try {
    const ca = config.cacert === null ? null : unwrap(await readEdgeRoots(config.cacert));
    const template = unwrap(await readPodTemplate(config.pods.template));
    const readiness = (): Readiness => readinessOf(metrics, progress.waitingFor());
    const ops = unwrap(await startOps({ listen: config.metrics, readiness, metrics, log }));
    closers.push(() => ops.close());
    const client = unwrap(await connectKube(config, clock));
    closers.push(() => client.close());
    log.info(
      { metrics: ops.url, kubernetes: client.server, namespace: client.namespace },
      'controller started',
    );

    const { signal } = stopping;
    const place = { config, log, clock, metrics, client, ca, template, closers, ended, progress, signal };
    const working = work(place).catch((thrown: unknown) => {
      if (!signal.aborted) ended.resolve(faultOf(thrown));
    });

    let stopped: Promise<void> | undefined;
    return {
      metricsUrl: ops.url,
      ended: ended.promise,
      stop() {
        stopped ??= (async () => {
          stopping.abort(new FaultError(fault('stopped', 'the controller stops')));
          await working;
          await close();
          ended.resolve(null);
        })();
        return stopped;
      },
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

interface Workplace {
  readonly config: ControllerConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly client: KubeClient;
  readonly ca: string | null;
  readonly template: PodTemplate | null;
  readonly closers: Closers;
  readonly ended: PromiseWithResolvers<Fault | null>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** How far the start has come. */
interface Progress {
  /** What readiness waits for before there are tunnels to wait for, or null. */
  waitingFor: () => string | null;
}

const firstListing = 'the first listing of the namespace';

/** Starts what needs the API server, from the adapters up to the watches that feed the actors. */
async function work(place: Workplace): Promise<void> {
  const { config, log, clock, metrics, client, ca, template, closers, ended, progress, signal } = place;
  const unreadable = (fault: Fault): void => {
    progress.waitingFor = () => `the namespace ${client.namespace}: ${fault.message}`;
  };
  const identity = await identityOnceReadable(config, client, { clock, log, unreadable, signal });
  progress.waitingFor = () => firstListing;

  // Of this process alone: what had the pod's name before may not have ended.
  const me = `${hostname()}_${randomUUID()}`;
  const lease = createLeaseStore(client, leaseName(config.ingressClass, defaultIngressClass, config.shard));
  const prepare = (signal: AbortSignal): Promise<Result<void>> => world.refresh(signal);
  const leadership = createElection({ lease, me, clock, random: Math.random, log, prepare });
  leadership.onChange((isLeading) => metrics.leads(isLeading));

  let isSynced = false;
  let tell = (_message: SupervisorMessage): void => {};
  const unusable = (reason: Fault): void => {
    log.error({ code: reason.code, detail: reason.message }, 'credentials not usable');
    tell({ type: 'credentials.checked', fault: reason });
  };
  const credentials = new CredentialStore({
    source: config.credentials,
    clock,
    onChange: () => {
      // What was wrong with those before says nothing of these, which are looked at next.
      tell({ type: 'credentials.checked', fault: null });
      tell({ type: 'credentials.changed' });
      account.credentialsChanged();
    },
    onFault: unusable,
  });
  closers.push(() => credentials.close());

  const cloudflare = createCloudflare({
    credentials: () => credentials.current(),
    apiUrl: config.apiUrl,
    clock,
    processes: config.shard.count,
    hooks: metrics.cloudflare,
    returned: () => {
      tell({ type: 'cloudflare.returned' });
      account.cloudflareReturned();
    },
    log,
  });
  closers.push(() => cloudflare.close());
  metrics.budgetOf(cloudflare);
  const account = tendAccount({
    cloudflare,
    leadership,
    clock,
    log,
    isProvisioning: () => metrics.tunnels().some(({ state }) => state === 'provisioning'),
    judged: (fault) => (fault === null ? tell({ type: 'credentials.checked', fault }) : unusable(fault)),
  });
  closers.push(() => account.close());

  const border = createShardBorder(config.shard, (message) => tell(message));
  const { ingressClass, ingressDefaults: defaults } = config;
  const status = { ingress: { ingressClass, defaults }, isForeign: border.isForeign };
  const sink = createIngressSink(client, {
    clock,
    log,
    instance: identity,
    leadership,
    random: Math.random,
    status,
  });
  closers.push(() => sink.close());

  const threads = createThreads({ config, ca, clock, log, metrics });
  closers.push(() => threads.close());
  const telemetry = metrics.watch;
  const pods = createPodRunner({ config, client, ca, template, leadership, clock, log, telemetry });
  void pods.open();

  const caSecrets = new KubeCaSecrets({
    client,
    clock,
    log,
    telemetry,
    random: Math.random,
    tell: (message) => tell(message),
  });

  const system = createActorSystem({ clock, random: Math.random, log, probe: metrics.kernel });
  const root = system.spawnRoot(
    supervisorSpec({
      identity,
      cloudflare,
      ledger: createLedgerStore(client, identity),
      leadership,
      runner: runnerByPlace(threads, pods),
      sink,
      caSecrets,
      telemetry: metrics.telemetry,
      log,
      random: Math.random,
      graceMs: config.graceMs,
      synced: () => {
        log.info({ identity }, 'caches synced');
        isSynced = true;
        progress.waitingFor = () => leadership.pending;
        leadership.start();
        account.start();
      },
    }),
  );
  closers.push(() => root.stop());
  closers.push(() => caSecrets.close());
  // Before the actors stop: what runs in pods goes on without us.
  closers.push(() => pods.close());
  tell = (message) => root.ref.tell(message);
  leadership.onChange(() => tell({ type: 'leadership.changed' }));
  // After `tell`, so that the first reading reaches everybody, too.
  await credentials.start();
  void root.ended.then((ending) => ended.resolve(ending.how === 'failed' ? ending.fault : null));

  const world = startWorld({
    client,
    ingressClass,
    defaults,
    clock,
    log,
    telemetry: {
      ...metrics.watch,
      restarts(kind, reason) {
        metrics.watch.restarts(kind, reason);
        if (!isSynced) progress.waitingFor = () => `${firstListing}: ${kind} are ${reason}`;
      },
    },
    tell: border.tell,
    notice: (ingress, note) => {
      if (border.speaksFor(ingress.name)) sink.event(ingress, note);
    },
  });
  closers.push(() => world.stop());
  // The last to be opened and the first to go: others lead while what serves here drains.
  closers.push(() => leadership.stop());
}

/** Ready once the caches are filled, somebody leads, and every tunnel that can be up is up. */
function readinessOf(metrics: Metrics, waitingFor: string | null): Readiness {
  if (waitingFor !== null) return { ready: false, waiting: [waitingFor] };
  const waiting = metrics
    .tunnels()
    .filter(({ state }) => state === 'provisioning' || state === 'starting')
    .map(({ host, state }) => `${host} is ${state}`);
  return { ready: waiting.length === 0, waiting };
}

function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new FaultError(result.fault);
  return result.value;
}
