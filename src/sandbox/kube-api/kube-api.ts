import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../time/clock.ts';
import { createAuthority } from '../certificates.ts';
import { type Account, Authorization, type Decision } from './authorization.ts';
import { FaultSwitches, type Faults } from './fault-switches.ts';
import { handle, type Surface } from './handler.ts';
import { Exchange } from './http/exchange.ts';
import { PodLogs } from './pod-logs.ts';
import { GarbageCollector } from './registry/garbage-collector.ts';
import { Registry } from './registry/registry.ts';
import { namespaces } from './resources/cluster.ts';
import { refuse, StatusError } from './status.ts';
import { Store } from './store/store.ts';
import { Watches } from './verbs/watch.ts';

export interface KubeApiOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Exist from the start, besides `default`. The first is the one that the kubeconfig's context names. */
  readonly namespaces?: readonly string[];
  readonly clock?: Clock;
  /** Changes that are remembered for watches; older ones answer 410. */
  readonly historyLength?: number;
}

/** A running API server. Owned by whoever started it; `stop` ends everything it has. */
export interface KubeApi {
  readonly url: string;
  /** PEM, what a client must trust. */
  readonly ca: string;
  /** A secret. */
  readonly token: string;
  /** As JSON, which is YAML: for `KUBECONFIG` and `KubeConfig.loadFromString`. */
  kubeconfig(namespace?: string): string;
  /** Reads and writes without HTTP, for whoever plays a controller or looks at the outcome. */
  readonly store: Store;
  readonly registry: Registry;
  readonly faults: Faults;
  /** How often each thing was asked for, as `list ingresses` (the verb as RBAC has it). */
  readonly calls: ReadonlyMap<string, number>;
  /** Where whoever runs pods puts what they write. */
  readonly logs: PodLogs;
  /** Tells of every request of a service account and whether its Roles allow it; the function ends that. */
  readonly onDecision: (hear: (decision: Decision) => void) => () => void;
  /** Tells the resource of every watch that is told 410; the function ends that. */
  readonly onExpired: (hear: (resource: string) => void) => () => void;
  /** How many watches are open and say what happens. */
  readonly watchCount: () => number;
  /** Idempotent. Cuts every connection. */
  stop(): Promise<void>;
}

const defaultHistoryLength = 10_000;
/** Longer than client-go keeps an idle connection (90 s), so that it is never the server who closes first. */
const keepAliveMs = 120_000;

/** Starts an in-memory Kubernetes API server on loopback, over TLS with its own authority. */
export async function startKubeApi(options: KubeApiOptions = {}): Promise<KubeApi> {
  const clock = options.clock ?? systemClock;
  const store = new Store(options.historyLength ?? defaultHistoryLength);
  const registry = new Registry(store, clock);
  const collector = new GarbageCollector(store, registry);
  const watches = new Watches(store, clock);
  const faults = new FaultSwitches(store, watches, clock);
  const first = options.namespaces?.[0] ?? 'default';
  for (const name of new Set(['default', ...(options.namespaces ?? [])])) {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    registry.create(namespaces, '', object, { dryRun: false, writer: null });
  }
  const authority = createAuthority('kubernetes-sandbox');
  const token = randomBytes(24).toString('base64url');
  const stopping = new AbortController();
  const calls = new Map<string, number>();
  const authorization = new Authorization(store);
  const logs = new PodLogs();
  const surface: Surface = { store, registry, watches, faults, clock, calls, authorization, logs };
  const identity = authority.issue({ dnsNames: ['localhost', 'kubernetes'], ipAddresses: ['127.0.0.1'] });
  const server = createServer(identity, (request, response) => {
    void serve(new Exchange(request, response), surface, token, stopping.signal);
  });
  server.on('tlsClientError', () => {});
  // Watches are quiet for long; they have their own timeout.
  server.requestTimeout = 0;
  server.keepAliveTimeout = keepAliveMs;
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let stopped: Promise<void> | null = null;
  return {
    url,
    ca: authority.cert,
    token,
    kubeconfig: (namespace = first) => kubeconfig(url, authority.cert, token, namespace),
    store,
    registry,
    faults,
    calls,
    logs,
    onDecision: (hear) => authorization.onDecision(hear),
    onExpired: (hear) => watches.onExpired(hear),
    watchCount: () => watches.size,
    stop: () => {
      stopped ??= (async () => {
        collector.stop();
        stopping.abort();
        watches.cut(() => true);
        await closed(server);
      })();
      return stopped;
    },
  };
}

async function closed(server: Server): Promise<void> {
  const done = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await done;
}

/** One request from authentication to answer. Never rejects. */
async function serve(
  exchange: Exchange,
  surface: Surface,
  token: string,
  stopping: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  exchange.response.once('close', () => gone.abort());
  try {
    const asker = askerOf(exchange.request, surface.authorization, token);
    await handle(exchange, asker, surface, AbortSignal.any([gone.signal, stopping]));
  } catch (error) {
    answerError(exchange.response, exchange, error);
  }
}

function answerError(response: ServerResponse, exchange: Exchange, error: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const refusal = error instanceof StatusError ? error : refuse.internal(String(error));
  const details = refusal.body.details as { retryAfterSeconds?: number } | undefined;
  const retryAfter = details?.retryAfterSeconds;
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  exchange.answer(refusal.code, refusal.body);
}

/** Null is the sandbox's own administrator, who may do everything. */
function askerOf(request: IncomingMessage, authorization: Authorization, adminToken: string): Account | null {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${adminToken}`);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return impersonatedIn(request);
  const account = authorization.accountOf(given.toString().replace(/^Bearer /, ''));
  if (account === null) throw refuse.unauthorized();
  if (request.headers['impersonate-user'] !== undefined) {
    throw refuse.forbidden(
      { group: '', plural: 'users', kind: '' },
      '',
      'only the administrator may impersonate',
    );
  }
  return account;
}

/** In whose name the administrator asks (`kubectl --as`); only service accounts have Roles here. */
function impersonatedIn({ headers }: IncomingMessage): Account | null {
  const asked = headers['impersonate-user'];
  if (asked === undefined) return null;
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(String(asked)) ?? [];
  if (namespace === undefined || name === undefined) {
    throw refuse.badRequest(`got user "${asked}", expected system:serviceaccount:<namespace>:<name>`);
  }
  return { namespace, name, uid: '' };
}

function kubeconfig(url: string, ca: string, token: string, namespace: string): string {
  const name = 'sandbox';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
