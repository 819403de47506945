import { isPublishableHost } from '../domain/host.ts';
import type { LogSettings } from '../log.ts';
import { type Option, option } from './option-table.ts';
import {
  durationUpTo,
  filePath,
  type HostPort,
  hostPort,
  httpUrl,
  listOf,
  matching,
  oneOf,
  type ValueKind,
  wholeNumber,
} from './value-kinds.ts';

/** Settings that more than one command has; names, values and defaults are cloudflared's where it has them. */

/** cloudflared's bound of `--grace-period`. */
const maxGraceMs = 180_000;
const maxEdgeAddresses = 64;

/** What an Ingress may ask for too (annotation `ha-connections`). */
const maxHaConnections = 4;

const edgeOption: Option<readonly HostPort[]> = {
  flag: 'edge',
  env: 'TUNNEL_EDGE',
  kind: listOf(hostPort, maxEdgeAddresses),
  default: [],
  defaultText: 'discovered',
  help: 'address of the edge',
  repeatable: true,
};

export const connectorOptions = {
  edge: edgeOption,
  cacert: option(
    'cacert',
    'TUNNEL_CACERT',
    filePath,
    { value: null, text: "Cloudflare's roots and the public ones" },
    'PEM file with the roots that vouch for the edge, instead of all others',
  ),
  haConnections: option(
    'ha-connections',
    'TUNNEL_HA_CONNECTIONS',
    wholeNumber(1, maxHaConnections),
    { value: 4, text: '4' },
    'connections to the edge per tunnel',
  ),
  graceMs: option(
    'grace-period',
    'TUNNEL_GRACE_PERIOD',
    durationUpTo(maxGraceMs, '3m'),
    { value: 30_000, text: '30s' },
    'how long running requests may take when a tunnel closes',
  ),
  accessCertsUrl: option(
    'access-certs-url',
    'WARP_ACCESS_CERTS_URL',
    httpUrl,
    { value: null, text: "https://<team>.cloudflareaccess.com, each team's own" },
    'where else the keys of Access teams are: URL/<team>/cdn-cgi/access/certs',
  ),
};

export const originCert = option(
  'origincert',
  'TUNNEL_ORIGIN_CERT',
  filePath,
  { value: '/etc/cloudflare-warp/cert.pem', text: '/etc/cloudflare-warp/cert.pem' },
  'certificate of `cloudflared login`; read again when it changes',
);

export const apiUrl = option(
  'api-url',
  'TUNNEL_API_URL',
  httpUrl,
  { value: null, text: "Cloudflare's" },
  "base of Cloudflare's API",
);

export const logOptions = {
  logLevel: option(
    'log-level',
    'LOG_LEVEL',
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    { value: 'info', text: 'info' },
    'least severe level that is logged',
  ),
  logFormat: option(
    'log-format',
    'LOG_FORMAT',
    oneOf('json', 'pretty'),
    { value: null, text: 'pretty on a terminal, else json' },
    'form of the log lines',
  ),
};

/** Any one line without spaces; what it is worth only its receiver knows. */
export const secretText: ValueKind<string> = matching('TOKEN', /^\S{1,8192}$/, 'one line without spaces');

export const publishableHost: ValueKind<string> = {
  placeholder: 'HOST',
  expected: 'a host name of two labels or more, like app.example.com or *.example.com',
  read: (text) => {
    const host = text.toLowerCase();
    return isPublishableHost(host) ? host : undefined;
  },
};

export function logSettings(
  value: { readonly logLevel: string; readonly logFormat: LogSettings['format'] | null },
  isTerminal: boolean,
): LogSettings {
  return { level: value.logLevel, format: value.logFormat ?? (isTerminal ? 'pretty' : 'json') };
}

/** As the link carries addresses: `host:port`, an IPv6 address in brackets. */
export function addressTexts(addresses: readonly HostPort[]): readonly string[] {
  return addresses.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
}
