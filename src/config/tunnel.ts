import type { RouteTable } from '../domain/routes.ts';
import { routesFromText } from '../domain/routes-text.ts';
import { routesToUrl } from '../domain/url-routes.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { LogSettings } from '../log.ts';
import {
  addressTexts,
  apiUrl,
  connectorOptions,
  logOptions,
  logSettings,
  originCert,
  publishableHost,
  secretText,
} from './connector-options.ts';
import {
  describeOptions,
  type Environment,
  notGiven,
  option,
  readOptions,
  type Settings,
} from './option-table.ts';
import { filePath, type HostPort, listenAddress, matching, originUrl } from './value-kinds.ts';

/** The settings of `tunnel`: one connector, nothing else. */
export interface TunnelConfig {
  readonly hostname: string;
  readonly routes: RouteTable;
  readonly source: TunnelSource;
  readonly apiUrl: string | null;
  /** `host:port`; empty means discovery. */
  readonly edge: readonly string[];
  /** Path of a PEM bundle that replaces all roots. */
  readonly cacert: string | null;
  readonly haConnections: number;
  readonly graceMs: number;
  /** Where else the keys of Access teams are; null is each team's own host. */
  readonly accessCertsUrl: string | null;
  /** Null: nothing is served. */
  readonly metrics: HostPort | null;
  readonly log: LogSettings;
}

/** From where a connector gets its tunnel. `token` is a secret. */
export type TunnelSource =
  | {
      readonly from: 'origincert';
      readonly path: string;
      /** Name or id; null: the one that serves the host. */
      readonly tunnel: string | null;
    }
  | { readonly from: 'token-file'; readonly path: string }
  | { readonly from: 'token'; readonly token: string };

const options = {
  hostname: option('hostname', 'TUNNEL_HOSTNAME', publishableHost, notGiven, 'host that is served'),
  url: option('url', 'TUNNEL_URL', originUrl, notGiven, 'where requests go'),
  routes: option(
    'routes',
    'TUNNEL_ROUTES',
    matching('JSON', /^\{.*\}$/s, 'routes as the controller writes them'),
    notGiven,
    'instead of --url: where which paths go, as the controller gives it to tunnel pods',
  ),
  tunnel: option(
    'tunnel',
    'TUNNEL_NAME',
    matching('NAME|ID', /^[\w.*-]{1,320}$/, "a tunnel's name or id"),
    { value: null, text: 'the one that serves the host' },
    'with --origincert: which tunnel',
  ),
  tokenFile: option('token-file', 'TUNNEL_TOKEN_FILE', filePath, notGiven, "file with the tunnel's token"),
  token: option(null, 'TUNNEL_TOKEN', secretText, notGiven, "the tunnel's token itself"),
  originCert,
  apiUrl,
  ...connectorOptions,
  metrics: option(
    'metrics',
    'TUNNEL_METRICS',
    listenAddress,
    { value: null, text: 'nowhere' },
    'where /healthz, /ready and /metrics are served',
  ),
  ...logOptions,
};

export function readTunnelConfig(
  argv: readonly string[],
  env: Environment,
  isTerminal: boolean,
): Result<TunnelConfig> {
  const settings = readOptions(options, argv, env);
  if (!settings.ok) return settings;
  const source = tunnelSource(settings.value);
  if (!source.ok) return source;
  const { hostname, ...value } = settings.value.value;
  if (hostname === null)
    return failed('config-invalid', `--hostname is missing: expected ${publishableHost.expected}`);
  const routes = routesOf(hostname, value.url, value.routes);
  if (!routes.ok) return routes;
  return ok({
    hostname,
    routes: routes.value,
    source: source.value,
    apiUrl: value.apiUrl,
    edge: addressTexts(value.edge),
    cacert: value.cacert,
    haConnections: value.haConnections,
    graceMs: value.graceMs,
    accessCertsUrl: value.accessCertsUrl,
    metrics: value.metrics,
    log: logSettings(value, isTerminal),
  });
}

export function describeTunnelOptions(): string {
  return describeOptions(options);
}

function routesOf(host: string, url: string | null, text: string | null): Result<RouteTable> {
  if (text === null) {
    if (url === null) return failed('config-invalid', `--url is missing: expected ${originUrl.expected}`);
    return ok(routesToUrl(host, url));
  }
  if (url !== null) return failed('config-invalid', '--url and --routes: expected one of the two');
  const routes = routesFromText(host, text);
  return routes === null
    ? failed('config-invalid', '--routes: expected routes as the controller writes them')
    : ok(routes);
}

/** A token wins over a token file, as with cloudflared, and both over a certificate; two flags are refused. */
function tunnelSource({ value, from }: Settings<typeof options>): Result<TunnelSource> {
  if (from.tokenFile === 'flag' && from.originCert === 'flag') {
    return failed('config-invalid', '--origincert and --token-file: expected one of the two');
  }
  const { tunnel } = value;
  if (from.originCert === 'flag') return ok({ from: 'origincert', path: value.originCert, tunnel });
  if (from.tokenFile !== 'flag' && value.token !== null) return ok({ from: 'token', token: value.token });
  if (value.tokenFile !== null) return ok({ from: 'token-file', path: value.tokenFile });
  return ok({ from: 'origincert', path: value.originCert, tunnel });
}
