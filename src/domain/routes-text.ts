import type { AccessPolicy } from './access.ts';
import { defaultOriginSettings, type OriginSettings } from './ingress.ts';
import type { OriginAddress, Route, RouteTable, RouteTarget } from './routes.ts';

/*
 * A route table as one argument of a connector's process, as short as it can be: what is the default is left out,
 * what several routes share (origins, CAs) stands there once. Nothing in it is secret.
 *
 *   {"routes": [["/", "prefix", 0], ["/old", "exact", {"status": 503}]],
 *    "origins": [{"to": ["10.0.0.1:80"], "set": {"protocol": "https"}, "ca": 0}], "cas": ["-----BEGIN…"],
 *    "access": {"team": "acme", "audience": ["…"]}}
 */

/** Linux takes no argument of 128 KiB or more (MAX_ARG_STRLEN). */
const maxBytes = 128 * 1024 - 1;

/** Why no process can be given these routes, as the end of a sentence of which they are the subject; or null. */
export function excessOf(table: RouteTable): string | null {
  const bytes = Buffer.byteLength(routesToText(table));
  if (bytes <= maxBytes) return null;
  // Rounded, so that it is the same sentence when an address comes or goes.
  return `take ${Math.ceil(bytes / 1024)} KiB with their CAs, and a pod takes less than 128 KiB`;
}

interface OriginText {
  readonly to: readonly string[];
  readonly set?: Partial<OriginSettings>;
  readonly ca?: number;
}

export function routesToText({ routes, access }: RouteTable): string {
  const cas: string[] = [];
  const origins: string[] = [];
  const target = (to: RouteTarget): number | { readonly status: number } => {
    if (to.kind === 'status') return { status: to.status };
    const { addresses, settings, ca } = to.origin;
    const set = Object.entries(settings).filter(
      ([key, value]) => value !== defaultOriginSettings[key as keyof OriginSettings],
    );
    const text: OriginText = {
      to: addresses.map(({ host, port }) => `${host}:${port}`),
      ...(set.length > 0 && { set: Object.fromEntries(set) }),
      ...(ca !== null && { ca: indexIn(cas, ca) }),
    };
    return indexIn(origins, JSON.stringify(text));
  };
  return JSON.stringify({
    routes: routes.map(({ path, match, target: to }) => [path, match, target(to)]),
    origins: origins.map((text) => JSON.parse(text)),
    ...(cas.length > 0 && { cas }),
    ...(access !== null && { access }),
  });
}

/** Null for what `routesToText` does not write. Never throws. */
export function routesFromText(host: string, text: string): RouteTable | null {
  try {
    const { routes, origins, cas = [], access = null } = JSON.parse(text);
    const known = origins.map((origin: OriginText) => originOf(origin, cas));
    return { host, routes: routes.map((route: unknown) => routeOf(route, known)), access: accessOf(access) };
  } catch {
    return null;
  }
}

function originOf({ to, set = {}, ca }: OriginText, cas: readonly unknown[]): RouteTarget {
  if (ca !== undefined) check(typeof cas[ca] === 'string');
  for (const [key, value] of Object.entries(set)) {
    check(Object.hasOwn(defaultOriginSettings, key));
    const standard = defaultOriginSettings[key as keyof OriginSettings];
    // What is null without being set is a name.
    check(typeof value === (standard === null ? 'string' : typeof standard));
  }
  check(['http', 'https', 'h2c', 'tcp'].includes(set.protocol ?? 'http') && to.length > 0);
  const origin = {
    addresses: to.map(addressOf),
    settings: { ...defaultOriginSettings, ...set },
    ca: ca === undefined ? null : (cas[ca] as string),
  };
  return { kind: 'origin', origin };
}

/** The port is behind the last colon: an IPv6 address has more of them. */
function addressOf(text: string): OriginAddress {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  check(host !== undefined);
  return { host: host!, port: Number(port) };
}

function routeOf(value: unknown, origins: readonly RouteTarget[]): Route {
  const [path, match, to] = value as [unknown, unknown, number | { readonly status: number }];
  check(typeof path === 'string' && path.startsWith('/') && (match === 'exact' || match === 'prefix'));
  const target: RouteTarget | undefined =
    typeof to === 'number' ? origins[to] : { kind: 'status', status: to.status };
  check(target !== undefined && (target.kind === 'origin' || Number.isInteger(target.status)));
  return { path: path as string, match: match as Route['match'], target: target! };
}

/** One that cannot be read must not be read as none. */
function accessOf(value: unknown): AccessPolicy | null {
  if (value === null) return null;
  const { team, audience } = value as AccessPolicy;
  check(typeof team === 'string' && audience.length > 0 && audience.every((tag) => typeof tag === 'string'));
  return { team, audience };
}

function indexIn(list: string[], text: string): number {
  const at = list.indexOf(text);
  return at >= 0 ? at : list.push(text) - 1;
}

function check(holds: boolean): void {
  if (!holds) throw new TypeError('not a route table');
}
