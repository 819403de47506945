import type { Fault } from '../fault.ts';
import type { BackendView, ServicePort, ServiceSpec } from './backend.ts';
import type { EventNote } from './event.ts';
import type { BackendRef, HostRules, IngressSettings, PathRule } from './ingress.ts';
import { type OriginAddress, type Route, type RouteTable, type RouteTarget, sortedRoutes } from './routes.ts';
import { excessOf } from './routes-text.ts';

/** What one host's rules come to, given the backends as they are now. */
export interface CompiledHost {
  readonly routes: RouteTable;
  /** At least one path has somewhere to go, so the tunnel should be up. */
  readonly usable: boolean;
  /**
   * They are more than the tunnel's place can take, or not known, and pods from before may serve as they should: what runs
   * goes on with the routes that it has.
   */
  readonly refused: boolean;
  /**
   * Why paths have nowhere to go, one note per distinct cause. Only of the Ingress whose settings were given:
   * whoever wrote a path looks at that Ingress (`contributionNotes`).
   */
  readonly notes: readonly EventNote[];
}

/** What is known of the CA in one Secret. */
export interface OriginCa {
  /** Trusted besides the public roots; null: it could not be read. */
  readonly pem: string | null;
  /** Why it could not be read, or not anew. */
  readonly note: EventNote | null;
  /** Nothing is known: the API server was away, or did not let us look. */
  readonly isUnknown: boolean;
}

const publicRoots: OriginCa = { pem: null, note: null, isUnknown: false };

/** Of a Secret that cannot be read, or not anew: `known` is what was read of it before, or null. */
export function unreadableCa({ code, message }: Fault, known: string | null): OriginCa {
  const isUnknown = known === null && code !== 'ingress-invalid';
  const pods = isUnknown ? ', and tunnels in pods stay as they are' : '';
  const then =
    known === null ? `until it can be read the answer is 503${pods}` : 'the CA that was read before stays';
  const note = {
    type: 'Warning',
    reason: 'InvalidIngress',
    message: `ca-secret: ${message}; ${then}`,
  } as const;
  return { pem: known, note, isUnknown };
}

/** The Secret whose CA matters: certificates are looked at only with TLS, and only if they are to be verified. */
function caSecretOf({ origin }: IngressSettings): string | null {
  return origin.protocol === 'https' && origin.verifyTls ? origin.caSecret : null;
}

/** The names of all Secrets whose CA the rules need. */
export function caSecretsOf(hosts: readonly HostRules[], settings: IngressSettings): ReadonlySet<string> {
  const secrets = hosts.flatMap((host) => host.paths.map((rule) => caSecretOf(rule.settings ?? settings)));
  return new Set(secrets.filter((secret) => secret !== null));
}

/**
 * Rules and backends → routes. A path whose backend is not there stays in the table and answers 503, so that it
 * does not fall through to a shorter path's backend. The same while the CA of its origins is not known (`cas`, by
 * Secret): it is not the backend that is missing, so a tunnel may be up then; see `refused` for one in pods.
 */
export function compileHost(
  rules: HostRules,
  settings: IngressSettings,
  backends: ReadonlyMap<string, BackendView>,
  cas: ReadonlyMap<string, OriginCa>,
): CompiledHost {
  const notes = new Map<string, EventNote>();
  let usable = false;
  let isUnknown = false;
  const routes = rules.paths.map((rule): Route => {
    const own = rule.settings ?? settings;
    const resolved = resolveBackend(rule.backend, backends.get(rule.backend.service), own);
    if (resolved.state === 'ready') usable = true;
    const secret = caSecretOf(own);
    const ca = secret === null ? publicRoots : (cas.get(secret) ?? null);
    if (ca?.isUnknown) isUnknown = true;
    if (rule.settings === undefined) {
      const causes = [resolved.state === 'missing' ? resolved.note : null, ca?.note ?? null];
      for (const note of causes) if (note !== null) notes.set(note.message, note);
    }
    return { path: rule.path, match: rule.match, target: targetOf(resolved, own, ca) };
  });
  const table = { host: rules.host, routes: sortedRoutes(routes), access: settings.access };
  const runsInPods = settings.mode === 'pod' && (usable || settings.noBackend === '503');
  const excess = runsInPods ? excessOf(table) : null;
  if (excess !== null) notes.set(excess, excessNote(rules.host, excess));
  const refused = excess !== null || (runsInPods && isUnknown);
  return { routes: table, usable, refused, notes: [...notes.values()] };
}

/** The notes on paths that are routed in the tunnel of another Ingress, for the one that they come from. */
export function contributionNotes(
  { host, paths }: HostRules,
  settings: IngressSettings,
  backends: ReadonlyMap<string, BackendView>,
  cas: ReadonlyMap<string, OriginCa>,
): readonly EventNote[] {
  const own = paths.map(({ path, match, backend }) => ({ path, match, backend }));
  return compileHost({ host, paths: own }, settings, backends, cas).notes;
}

/** The names of all Services that the rules mention. */
export function servicesOf(hosts: readonly HostRules[]): ReadonlySet<string> {
  return new Set(hosts.flatMap((host) => host.paths.map((rule: PathRule) => rule.backend.service)));
}

type ResolvedBackend =
  | { readonly state: 'ready'; readonly addresses: readonly OriginAddress[] }
  | { readonly state: 'missing'; readonly note: EventNote };

function targetOf(resolved: ResolvedBackend, settings: IngressSettings, ca: OriginCa | null): RouteTarget {
  const trusted = ca === publicRoots || (ca !== null && ca.pem !== null);
  if (resolved.state === 'missing' || !trusted) return { kind: 'status', status: 503 };
  return {
    kind: 'origin',
    origin: { addresses: resolved.addresses, settings: settings.origin, ca: ca.pem },
  };
}

function resolveBackend(
  ref: BackendRef,
  view: BackendView | undefined,
  settings: IngressSettings,
): ResolvedBackend {
  const service = view?.service;
  if (view === undefined || service === undefined || service === null) {
    return missing(
      'WaitingForService',
      `Service "${ref.service}" does not exist; its paths are served as soon as it does`,
    );
  }
  if (service.type === 'ExternalName') return resolveExternalName(ref, service);
  const port = findPort(service, ref);
  if (port === undefined) {
    return missing(
      'InvalidIngress',
      `Service "${service.name}" has no TCP port ${portText(ref)}; it has ${portList(service)}`,
    );
  }
  const endpoints = readyEndpoints(view, port);
  if (endpoints.length === 0) {
    return missing(
      'WaitingForEndpoints',
      `Service "${service.name}" has no ready endpoint on port ${portText(ref)}: see its selector and whether its Pods are ready; its paths are served from the first one on`,
    );
  }
  // A headless Service has no address of its own to balance behind.
  if (settings.originVia === 'endpoints' || service.clusterIp === null) {
    return { state: 'ready', addresses: endpoints };
  }
  return { state: 'ready', addresses: [{ host: service.clusterIp, port: port.port }] };
}

/** An ExternalName Service is a DNS alias: it has no endpoints, and its ports are optional. */
function resolveExternalName(ref: BackendRef, service: ServiceSpec): ResolvedBackend {
  const port = ref.port.by === 'number' ? ref.port.number : findPort(service, ref)?.port;
  if (service.externalName === null || port === undefined) {
    return missing(
      'InvalidIngress',
      `Service "${service.name}" of type ExternalName has no port ${portText(ref)}; give the port by number`,
    );
  }
  return { state: 'ready', addresses: [{ host: service.externalName, port }] };
}

function findPort(service: ServiceSpec, { port: wanted }: BackendRef): ServicePort | undefined {
  return wanted.by === 'number'
    ? service.ports.find((port) => port.port === wanted.number)
    : service.ports.find((port) => port.name === wanted.name);
}

/** The union over all slices, without repetition, in a stable order. */
function readyEndpoints(view: BackendView, servicePort: ServicePort): readonly OriginAddress[] {
  const found = new Map<string, OriginAddress>();
  for (const slice of view.slices) {
    for (const slicePort of slice.ports) {
      if (slicePort.name !== servicePort.name) continue;
      const port = slicePort.port ?? servicePort.port;
      for (const host of slice.readyAddresses) found.set(`${host} ${port}`, { host, port });
    }
  }
  return [...found.keys()].sort().map((key) => found.get(key)!);
}

function excessNote(host: string, excess: string): EventNote {
  const message = `${host}: the routes ${excess}: expected fewer paths, smaller CA bundles, or the annotation cloudflare-warp/mode: worker. What runs goes on as it was`;
  return { type: 'Warning', reason: 'InvalidIngress', message };
}

function missing(reason: EventNote['reason'], message: string): ResolvedBackend {
  return { state: 'missing', note: { type: 'Warning', reason, message } };
}

function portText({ port }: BackendRef): string {
  return port.by === 'number' ? String(port.number) : `"${port.name}"`;
}

function portList(service: ServiceSpec): string {
  const ports = service.ports.map((port) =>
    port.name === '' ? `${port.port}` : `${port.port} ("${port.name}")`,
  );
  return ports.length === 0 ? 'none' : ports.join(', ');
}
