import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type ApiWorld, answer, authenticationError, type TokenGrants } from './api.ts';
import { type Answer, refusal } from './envelope.ts';
import { FaultSwitches } from './faults.ts';
import { documentedCallsPerWindow, RateLimit } from './rate-limit.ts';
import { TunnelStore } from './tunnel-store.ts';
import { ZoneStore } from './zone-store.ts';

export interface CloudflareApiSettings {
  /** 0 for a free one. */
  readonly port: number;
  /** Names of the zones; each gets an id. */
  readonly zones: readonly string[];
  /** 32 hexadecimal digits; made when left out. */
  readonly accountId?: string;
  /** The first API token; made when left out. It may do everything. */
  readonly token?: string;
  /** Tunnels an account (Cloudflare: 1,000). */
  readonly maxTunnels?: number;
  /** Records a zone. */
  readonly maxRecords?: number;
  /** Calls in five minutes per token (Cloudflare: 1,200). */
  readonly callsPerFiveMinutes?: number;
  /** Milliseconds since the epoch; a test's own clock. */
  readonly now?: () => number;
}

/** An imitation of Cloudflare's API on loopback. Its starter owns it and calls `stop`. */
export interface CloudflareApi {
  /** The API base, what `--api-url` takes. */
  readonly url: string;
  readonly accountId: string;
  readonly token: string;
  readonly faults: FaultSwitches;
  readonly tunnels: TunnelStore;
  readonly zones: ZoneStore;
  /** The last calls, oldest first; bounded. */
  readonly calls: readonly RecordedCall[];
  /** Grants a further token, or takes all from one with `null`: what rotating credentials needs. */
  setToken(token: string, grants: TokenGrants | null): void;
  /** A `cert.pem` as `cloudflared tunnel login` writes it, for the first zone or the one named. */
  certPem(zoneName?: string): string;
  /** Closes the listener and every connection; idempotent. */
  stop(): Promise<void>;
}

export interface RecordedCall {
  readonly method: string;
  /** Behind the API base, with the query. */
  readonly path: string;
  /** 0 when the connection was cut instead of an answer. */
  readonly status: number;
}

export async function startCloudflareApi(settings: CloudflareApiSettings): Promise<CloudflareApi> {
  const now = settings.now ?? Date.now;
  const account = { id: settings.accountId ?? randomBytes(16).toString('hex'), name: 'Sandbox' };
  const zones = new ZoneStore(now);
  for (const name of settings.zones) zones.addZone(account.id, name);
  const world: ApiWorld = {
    account,
    zones,
    tunnels: new TunnelStore(now),
    limits: { maxTunnels: settings.maxTunnels ?? 1_000, maxRecords: settings.maxRecords ?? 3_500 },
  };
  const token = settings.token ?? randomBytes(20).toString('hex');
  const grants = new Map<string, TokenGrants>([[token, { tunnels: true, dns: true, zones: true }]]);
  const faults = new FaultSwitches();
  const limits = new Map<string, RateLimit>();
  const calls: RecordedCall[] = [];
  const stopping = new AbortController();

  const limitOf = (credential: string): RateLimit => {
    const known = limits.get(credential);
    if (known !== undefined) return known;
    const limit = new RateLimit(settings.callsPerFiveMinutes ?? documentedCallsPerWindow);
    if (limits.size >= maxRememberedCredentials) limits.clear();
    limits.set(credential, limit);
    return limit;
  };

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = new URL(request.url ?? '/', 'http://api');
    const path = target.pathname.replace(/^\/client\/v4(?=\/|$)/, '');
    const method = request.method ?? 'GET';
    const record = (status: number): void => {
      if (calls.length >= maxRememberedCalls) calls.shift();
      calls.push({ method, path: path + target.search, status });
    };
    const body = await readBody(request);
    if (faults.delayMs > 0) await wait(faults.delayMs, undefined, { signal: stopping.signal });
    if (faults.hang) return record(0);
    const planned = faults.outage ? null : faults.take(method, path);
    const cut = faults.outage || planned?.lostAnswer;
    let answered: Answer;
    if (faults.outage) answered = refusal(503, 0, 'outage');
    else if (planned !== null && !planned.lostAnswer) answered = plannedAnswer(planned);
    else answered = checked(request, method, path, target.searchParams, body);
    record(cut ? 0 : answered.status);
    if (cut) return void request.socket.destroy();
    send(response, answered);
  };

  const checked = (
    request: IncomingMessage,
    method: string,
    path: string,
    query: URLSearchParams,
    body: BodyRead,
  ): Answer => {
    const credential = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (credential === undefined) return refusal(400, 6003, 'Invalid request headers', [malformedHeader]);
    const limit = limitOf(credential);
    const waitMs = limit.take(now());
    if (waitMs > 0) {
      const text = 'Please wait and consider throttling your request speed';
      return refusal(429, 971, text, [], {
        'retry-after': String(Math.ceil(waitMs / 1000)),
        ...limit.headers(now()),
      });
    }
    const allowed = grants.get(credential);
    const elements = path.split('/').filter((element) => element !== '');
    let answered: Answer;
    if (allowed === undefined) {
      answered = elements[0] === 'user' ? refusal(401, 1000, 'Invalid API Token') : authenticationError;
    } else if (!body.ok) answered = body.refusal;
    else answered = answer(world, allowed, { method, path: elements.map(decode), query, body: body.value });
    return { ...answered, headers: { ...answered.headers, ...limit.headers(now()) } };
  };

  const server = createServer((request, response) => {
    // Fails only when the client goes away in the middle of its body, or when we stop during a delay.
    respond(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/client/v4`,
    accountId: account.id,
    token,
    faults,
    tunnels: world.tunnels,
    zones,
    calls,
    setToken: (value, granted) => void (granted === null ? grants.delete(value) : grants.set(value, granted)),
    certPem: (zoneName) => {
      const zone = zones.zones.find((candidate) => zoneName === undefined || candidate.name === zoneName);
      const content = { zoneID: zone?.id ?? '', accountID: account.id, apiToken: token };
      const base64 = Buffer.from(JSON.stringify(content)).toString('base64');
      const lines = base64.match(/.{1,64}/g) ?? [];
      return `-----BEGIN ARGO TUNNEL TOKEN-----\n${lines.join('\n')}\n-----END ARGO TUNNEL TOKEN-----\n`;
    },
    stop: () =>
      new Promise((resolve) => {
        stopping.abort();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type BodyRead =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly refusal: Answer };

async function readBody(request: IncomingMessage): Promise<BodyRead> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= maxBodyBytes) chunks.push(chunk);
  }
  if (bytes > maxBodyBytes) return { ok: false, refusal: refusal(413, 9207, 'Request body is too large.') };
  if (bytes === 0) return { ok: true, value: undefined };
  try {
    return { ok: true, value: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return { ok: false, refusal: refusal(400, 9207, 'Request body is invalid.') };
  }
}

function plannedAnswer(fault: {
  status: number;
  code?: number;
  message?: string;
  retryAfterSeconds?: number;
}): Answer {
  const headers =
    fault.retryAfterSeconds === undefined ? {} : { 'retry-after': String(fault.retryAfterSeconds) };
  return refusal(fault.status, fault.code ?? fault.status, fault.message ?? 'planned fault', [], headers);
}

/** cloudflared shows the errors of a refusal only when the content type is exactly this. */
function send(response: ServerResponse, answered: Answer): void {
  response.writeHead(answered.status, { ...answered.headers, 'content-type': 'application/json' });
  response.end(JSON.stringify(answered.body));
}

function decode(element: string): string {
  try {
    return decodeURIComponent(element);
  } catch {
    return element;
  }
}

const malformedHeader = { code: 6111, message: 'Invalid format for Authorization header' };
const maxBodyBytes = 1 << 20;
const maxRememberedCalls = 10_000;
/** Rate limits are kept per credential, also of unknown ones. */
const maxRememberedCredentials = 1_000;
