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
import { filePath, type HostPort, listenAddress, originUrl } from './value-kinds.ts';

/** The settings of `tunnel`: one connector, nothing else. */
export interface TunnelConfig {
  readonly hostname: string;
  /** Where requests go: http or https, without a path. */
  readonly url: string;
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
  | { readonly from: 'origincert'; readonly path: string }
  | { readonly from: 'token-file'; readonly path: string }
  | { readonly from: 'token'; readonly token: string };

const options = {
  hostname: option('hostname', 'TUNNEL_HOSTNAME', publishableHost, notGiven, 'host that is served'),
  url: option('url', 'TUNNEL_URL', originUrl, notGiven, 'where requests go'),
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
    'where /healthz and /ready are served',
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
  const { hostname, url, ...value } = settings.value.value;
  if (hostname === null)
    return failed('config-invalid', `--hostname is missing: expected ${publishableHost.expected}`);
  if (url === null) return failed('config-invalid', `--url is missing: expected ${originUrl.expected}`);
  return ok({
    hostname,
    url,
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

/** A token wins over a token file, as with cloudflared, and both over a certificate; two flags are refused. */
function tunnelSource({ value, from }: Settings<typeof options>): Result<TunnelSource> {
  if (from.tokenFile === 'flag' && from.originCert === 'flag') {
    return failed('config-invalid', '--origincert and --token-file: expected one of the two');
  }
  if (from.originCert === 'flag') return ok({ from: 'origincert', path: value.originCert });
  if (from.tokenFile !== 'flag' && value.token !== null) return ok({ from: 'token', token: value.token });
  if (value.tokenFile !== null) return ok({ from: 'token-file', path: value.tokenFile });
  return ok({ from: 'origincert', path: value.originCert });
}
