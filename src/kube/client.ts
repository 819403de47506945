import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { FaultError, failed, fault, ok, type Result } from '../fault.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { type KubeAccess, processSurroundings, type Surroundings } from './access.ts';
import { sharedCredentials } from './credentials.ts';
import { type Deadline, deadline } from './deadline.ts';
import { readText, send, unlessAborted } from './exchange.ts';
import { findAccess } from './find-access.ts';
import { failureText, refusal } from './refusal.ts';

/*
 * The one way to the API server. The SDK is used for what kubeconfig files mean (`kubeconfig.ts`); requests are made
 * with node:http(s), because the SDK (2.0.1) makes a new undici Agent for every request, so that nothing reuses
 * a connection and idle ones pile up, and its Watch drops lines that it cannot parse without a word.
 *
 * What RBAC has to allow, all of it in one Role of the namespace:
 *   networking.k8s.io  ingresses         get, list, watch
 *   networking.k8s.io  ingresses/status  patch
 *   (core)             services          list, watch
 *   discovery.k8s.io   endpointslices    list, watch
 *   (core)             secrets           get, list, watch, create, patch, delete   (get: what ca-secret names)
 *   (core)             events            create, patch
 *   (core)             namespaces        get, resourceNames: [the namespace]   (its UID is our identity)
 *   coordination.k8s.io leases           get, create, update   (who of several replicas leads)
 * With mode "pod" also; whether it is allowed is asked first (`pods/may-list.ts`):
 *   apps               deployments           list, watch, create, patch, delete
 *   policy             poddisruptionbudgets  create, patch, delete
 *   (core)             pods                  list, watch; get (our own, for its image, unless --pod-image is given)
 */

/** To the first byte of an answer, and from there to its end unless it is a watch. A write may wait for webhooks. */
const answerLimitMs = 30_000;
/**
 * To the first byte where we only read: kube-apiserver itself refuses what has been in its queue for 15 s (a quarter of
 * `--request-timeout`; API Priority and Fairness), so who is silent for longer is not busy but gone.
 */
const readLimitMs = 16_000;
/** A page of 500 objects has a few MiB; etcd holds none above 1.5 MiB. */
const maxAnswerBytes = 64 * 2 ** 20;
/** Silence on a connection before the kernel asks whether the peer lives (then every second, ten times). */
const tcpKeepAliveMs = 15_000;
/** Connections to the API server; seven are the watches', more requests than these wait for one. */
const maxSockets = 16;

/** Under which the fields that we apply are ours, whoever else has written them before. */
export const fieldManager = 'cloudflare-warp-ingress';

/** JSON is YAML. */
const contentTypes: Partial<Record<KubeRequest['method'], string>> = {
  PATCH: 'application/merge-patch+json',
  APPLY: 'application/apply-patch+yaml',
};

const apis = {
  namespaces: '/api/v1',
  services: '/api/v1',
  secrets: '/api/v1',
  events: '/api/v1',
  pods: '/api/v1',
  deployments: '/apis/apps/v1',
  poddisruptionbudgets: '/apis/policy/v1',
  ingresses: '/apis/networking.k8s.io/v1',
  endpointslices: '/apis/discovery.k8s.io/v1',
  leases: '/apis/coordination.k8s.io/v1',
  selfsubjectaccessreviews: '/apis/authorization.k8s.io/v1',
} as const;

export type Resource = keyof typeof apis;

/** All others are asked for in our namespace. */
const clusterScoped: ReadonlySet<Resource> = new Set(['namespaces', 'selfsubjectaccessreviews']);

export interface KubeRequest {
  /** A PATCH is a JSON merge patch (RFC 7386), an APPLY a server-side apply: a PATCH that may create. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'APPLY' | 'DELETE';
  readonly resource: Resource;
  readonly name?: string;
  readonly subresource?: 'status';
  readonly query?: Readonly<Record<string, string>>;
  /** The objects without anything but their metadata (Kubernetes API concepts, "Metadata-only fetches"). */
  readonly as?: 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  readonly body?: unknown;
}

/** Requests in one namespace. Settle soon after their signal is aborted, with the code `stopped`. */
export interface KubeClient {
  readonly namespace: string;
  /** For logs. */
  readonly server: string;
  /** One request; the answer's JSON. */
  call(request: KubeRequest, signal: AbortSignal): Promise<Result<unknown>>;
  /**
   * One request whose answer goes on: the body as it comes. The caller owns the stream and ends it by the
   * signal or by leaving its iteration; only the wait for the answer's head has a deadline here.
   */
  open(request: KubeRequest, signal: AbortSignal): Promise<Result<Readable>>;
  /** UID of our namespace: the owner identity of this install unless another one is set. */
  readNamespaceUid(signal: AbortSignal): Promise<Result<string>>;
  /** Closes all connections: the last thing, after everybody who uses the client has stopped. Idempotent. */
  close(): void;
}

export interface KubeSettings {
  /** Path, or several as in `$KUBECONFIG`; null: the service account, else `~/.kube/config`. */
  readonly kubeconfig: string | null;
  /** Null: of the service account, else of the kubeconfig's context, else `default`. */
  readonly namespace: string | null;
}

/** Finds the cluster and the namespace; no request is made yet. Faults: `config-invalid`. */
export async function connectKube(
  settings: KubeSettings,
  clock: Clock = systemClock,
  surroundings: Surroundings = processSurroundings,
): Promise<Result<KubeClient>> {
  const access = await findAccess(settings.kubeconfig, surroundings);
  if (!access.ok) return access;
  return ok(createClient(access.value, settings.namespace ?? access.value.namespace ?? 'default', clock));
}

const namespaceShape = z.object({ metadata: z.object({ uid: z.string().min(1) }) });

function createClient(access: KubeAccess, namespace: string, clock: Clock): KubeClient {
  const agentOptions = { keepAlive: true, keepAliveMsecs: tcpKeepAliveMs, maxSockets };
  const plain = access.server.protocol === 'http:';
  const agent = plain ? new http.Agent(agentOptions) : new https.Agent(agentOptions);
  const credentials = sharedCredentials(access, clock);
  const basePath = access.server.pathname.replace(/\/$/, '');

  function pathOf({ method, resource, name, subresource, query }: KubeRequest): string {
    const parts = [basePath + apis[resource]];
    if (!clusterScoped.has(resource)) parts.push('namespaces', encodeURIComponent(namespace));
    parts.push(resource);
    if (name !== undefined) parts.push(encodeURIComponent(name));
    if (subresource !== undefined) parts.push(subresource);
    const apply = method === 'APPLY' ? { fieldManager, force: 'true' } : {};
    const search = new URLSearchParams({ ...apply, ...query }).toString();
    return parts.join('/') + (search === '' ? '' : `?${search}`);
  }

  async function ask(request: KubeRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { headers: authorization, ...given } = await unlessAborted(credentials(), signal);
    const headers: OutgoingHttpHeaders = {
      accept: `application/json${request.as === undefined ? '' : `;as=${request.as};g=meta.k8s.io;v=v1`}`,
      'user-agent': 'cloudflare-warp-ingress',
      ...(authorization as OutgoingHttpHeaders),
    };
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    if (body !== undefined) {
      headers['content-type'] = contentTypes[request.method] ?? 'application/json';
      headers['content-length'] = Buffer.byteLength(body);
    }
    const target = {
      protocol: access.server.protocol,
      host: access.server.hostname.replace(/^\[|\]$/g, ''),
      port: access.server.port || (plain ? 80 : 443),
      path: pathOf(request),
    };
    const method = request.method === 'APPLY' ? 'PATCH' : request.method;
    return send({ agent, ...given, ...target, method, headers }, body, signal);
  }

  /** Every way in which a request can fail becomes a fault here; `take` owns the deadline once it is called. */
  async function attempt<T>(
    request: KubeRequest,
    signal: AbortSignal,
    take: (response: IncomingMessage, limit: Deadline) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    const { method, resource, name, subresource } = request;
    const seen = `${method} ${[resource, name, subresource].filter(Boolean).join('/')}`;
    const { host } = access.server;
    const limitMs = method === 'GET' ? readLimitMs : answerLimitMs;
    const late = (ms: number, missed: string): FaultError =>
      new FaultError(fault('kube-unreachable', `${seen}: ${host} did not ${missed} within ${ms / 1000} s`));
    const limit = deadline(clock, limitMs, signal, late(limitMs, 'answer'));
    try {
      const response = await ask(request, limit.signal);
      limit.restart(answerLimitMs, late(answerLimitMs, 'finish its answer'));
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return await take(response, limit);
      const body = await readText(response, maxAnswerBytes);
      limit.release();
      return { ok: false, fault: refusal(seen, status, body, response.headers['retry-after']) };
    } catch (thrown) {
      limit.release();
      if (signal.aborted) return failed('stopped', `${seen}: given up`);
      if (thrown instanceof FaultError) return { ok: false, fault: thrown.fault };
      return failed('kube-unreachable', `${seen} at ${host}: ${failureText(thrown)}`);
    }
  }

  const call = (request: KubeRequest, signal: AbortSignal): Promise<Result<unknown>> =>
    attempt(request, signal, readJson);

  return {
    namespace,
    server: access.server.origin + basePath,
    call,
    open: (request, signal) => attempt(request, signal, handOver),
    async readNamespaceUid(signal) {
      const answer = await call({ method: 'GET', resource: 'namespaces', name: namespace }, signal);
      if (!answer.ok) return answer;
      const parsed = namespaceShape.safeParse(answer.value);
      return parsed.success
        ? ok(parsed.data.metadata.uid)
        : failed('kube-refused', `GET namespaces/${namespace}: the answer has no metadata.uid`);
    },
    close: () => agent.destroy(),
  };
}

async function readJson(response: IncomingMessage, limit: Deadline): Promise<Result<unknown>> {
  const text = await readText(response, maxAnswerBytes);
  limit.release();
  try {
    return ok(JSON.parse(text));
  } catch {
    return failed('kube-refused', 'an answer of the API server is not JSON');
  }
}

async function handOver(response: IncomingMessage, limit: Deadline): Promise<Result<Readable>> {
  limit.disarm();
  response.once('close', limit.release);
  return ok(response);
}
