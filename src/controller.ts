import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import type { SupervisorMessage } from './actors/messages.ts';
import { supervisorSpec } from './actors/supervisor.ts';
import { createCloudflare } from './cloudflare/adapter.ts';
import { CredentialStore } from './cloudflare/credentials.ts';
import type { ControllerConfig } from './config.ts';
import { type Fault, FaultError, fault, faultOf, type Result } from './fault.ts';
import { readIdentity } from './identity.ts';
import { createActorSystem } from './kernel/system.ts';
import { createSecrets } from './kube/ca-secret.ts';
import { connectKube, type KubeClient } from './kube/client.ts';
import { createIngressSink } from './kube/ingress-sink.ts';
import { createLedgerStore } from './kube/ledger-store.ts';
import { createShardBorder } from './kube/shard-border.ts';
import { startWorld } from './kube/world.ts';
import type { Logger } from './log.ts';
import { createMetrics, type Metrics } from './ops/metrics.ts';
import type { Readiness } from './ops/status-page.ts';
import { startOps } from './ops.ts';
import { defaultMaxThreads } from './runners/thread-count.ts';
import { createThreadRunner } from './runners/thread-runner.ts';
import { type Backoff, backoffDelayMs } from './time/backoff.ts';
import { sleep, systemClock } from './time/clock.ts';

/** A running controller, as `main` sees it. */
export interface Controller {
  /** Of `/healthz`, `/readyz`, `/metrics` and the status page. */
  readonly metricsUrl: string;
  /** Drains every tunnel and closes what was opened; removes nothing at Cloudflare. Idempotent. */
  stop(): Promise<void>;
  /** Why it ended by itself, or null after `stop`. Never rejects. */
  readonly ended: Promise<Fault | null>;
}

/** Everything that was opened, closed in the reverse order: what is used outlives its users. */
type Closers = (() => Promise<void> | void)[];

const identityBackoff: Backoff = { baseMs: 1_000, capMs: 30_000, healthyAfterMs: 0 };
const clock = systemClock;

/**
 * Composes the controller: adapters, actors, watches. Rejects with a `FaultError` for what makes a start
 * pointless (a setting, a port in use). What may still come, such as an API server that is away or a
 * credentials file that is not mounted yet, is waited for, with `/healthz` up and `/readyz` saying what for.
 */
export async function runController(config: ControllerConfig, log: Logger): Promise<Controller> {
  const closers: Closers = [];
  const ended = Promise.withResolvers<Fault | null>();
  const stopping = new AbortController();
  const metrics = createMetrics();
  let synced = false;

  async function close(): Promise<void> {
    for (const closer of closers.toReversed()) await closer();
  }

  try {
    const ca = config.cacert === null ? null : await readPem(config.cacert);
    const readiness = (): Readiness => readinessOf(metrics, synced);
    const ops = unwrap(await startOps({ listen: config.metrics, readiness, metrics, log }));
    closers.push(() => ops.close());
    const client = unwrap(await connectKube(config, clock));
    closers.push(() => client.close());
    log.info(
      { metrics: ops.url, kubernetes: client.server, namespace: client.namespace },
      'controller started',
    );

    const working = work(
      { config, log, metrics, client, ca, closers, ended, signal: stopping.signal },
      () => {
        synced = true;
      },
    ).catch((thrown: unknown) => {
      if (!stopping.signal.aborted) ended.resolve(faultOf(thrown));
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
  readonly metrics: Metrics;
  readonly client: KubeClient;
  readonly ca: string | null;
  readonly closers: Closers;
  readonly ended: PromiseWithResolvers<Fault | null>;
  readonly signal: AbortSignal;
}

/** Starts what needs the API server, from the adapters up to the watches that feed the actors. */
async function work(place: Workplace, synced: () => void): Promise<void> {
  const { config, log, metrics, client, ca, closers, ended, signal } = place;
  const identity = await ownerIdentity(config, client, log, signal);

  let tell = (_message: SupervisorMessage): void => {};
  const unusable = (reason: Fault): void => {
    log.error({ code: reason.code, detail: reason.message }, 'credentials not usable');
    tell({ type: 'credentials.checked', fault: reason });
  };
  const credentials = new CredentialStore({
    source: config.credentials,
    clock,
    onChange: () => {
      tell({ type: 'credentials.changed' });
      void check();
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
    log,
  });
  closers.push(() => cloudflare.close());
  cloudflare.startCounting();

  /** Says what credentials that have just arrived can do; an API that is away says nothing about them. */
  async function check(): Promise<void> {
    const view = await cloudflare.check(signal);
    if (view.ok) log.info(view.value, 'credentials checked');
    else if (view.fault.code === 'credentials-invalid') return unusable(view.fault);
    tell({ type: 'credentials.checked', fault: null });
  }

  const border = createShardBorder(config.shard, (message) => tell(message));
  const { isForeign } = border;
  const shared = config.shard.count > 1 ? { isForeign } : {};
  const sink = createIngressSink(client, { clock, log, instance: identity, ...shared });
  closers.push(() => sink.close());

  const cores = availableParallelism();
  const maxThreads = config.maxThreads ?? defaultMaxThreads(cores, memoryBytes());
  const { tunnelsPerThread } = config;
  const memoryMib = Math.round(memoryBytes() / 2 ** 20);
  log.info({ cores, memoryMib, maxThreads, tunnelsPerThread }, 'threads planned');
  const runner = createThreadRunner({
    clock,
    log,
    edge: { addresses: config.edge, ca, region: '' },
    graceMs: config.graceMs,
    logLevel: config.log.level,
    accessCertsUrl: config.accessCertsUrl,
    maxThreads,
    cores,
    tunnelsPerThread,
    onCounts: metrics.tunnelCounted,
    onThread: metrics.threadTunnels,
  });
  closers.push(() => runner.close());

  const system = createActorSystem({ clock, random: Math.random, log, probe: metrics.kernel });
  const root = system.spawnRoot(
    supervisorSpec({
      identity,
      cloudflare,
      ledger: createLedgerStore(client, identity),
      runner,
      sink,
      secrets: createSecrets(client),
      telemetry: metrics.telemetry,
      log,
      random: Math.random,
      graceMs: config.graceMs,
      synced: () => {
        log.info({ identity }, 'caches synced');
        synced();
      },
    }),
  );
  closers.push(() => root.stop());
  tell = (message) => root.ref.tell(message);
  // After `tell`, so that the first reading reaches everybody, too.
  await credentials.start();
  void root.ended.then((ending) => ended.resolve(ending.how === 'failed' ? ending.fault : null));

  const world = startWorld({
    client,
    ingressClass: config.ingressClass,
    defaults: config.ingressDefaults,
    clock,
    log,
    telemetry: metrics.watch,
    tell: border.tell,
    notice: (ingress, note) => {
      if (border.speaksFor(ingress.name)) sink.event(ingress, note);
    },
  });
  closers.push(() => world.stop());
}

/** Waits for the API server where the identity is to be read from it. */
async function ownerIdentity(
  config: ControllerConfig,
  client: KubeClient,
  log: Logger,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const identity = await readIdentity(config, client, signal);
    if (identity.ok) return identity.value;
    const { code, message: detail } = identity.fault;
    const retryInMs = backoffDelayMs(identityBackoff, attempt, Math.random());
    log.warn({ code, detail, retryInMs }, 'namespace not readable');
    await sleep(clock, retryInMs, signal);
  }
}

/** Ready once the caches are filled and every tunnel that can be up is up. */
function readinessOf(metrics: Metrics, synced: boolean): Readiness {
  if (!synced) return { ready: false, waiting: ['the first listing of the namespace'] };
  const waiting = metrics
    .tunnels()
    .filter(({ state }) => state === 'provisioning' || state === 'starting')
    .map(({ host, state }) => `${host} is ${state}`);
  return { ready: waiting.length === 0, waiting };
}

/** What a container's limit leaves of the machine's memory. */
function memoryBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    throw new FaultError(fault('config-invalid', `--cacert: cannot read ${path}: ${detail}`));
  }
}

function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new FaultError(result.fault);
  return result.value;
}
