import type { IngressSettings } from '../domain/ingress.ts';

/** When an annotation that is understood has no effect beside the others. */
interface Row {
  readonly valueOf: (settings: IngressSettings) => unknown;
  /** Why, and what would give it one; null where it has effect. */
  readonly because: (settings: IngressSettings) => string | null;
}

const rows: Readonly<Record<string, Row>> = {
  replicas: {
    valueOf: ({ replicas }) => replicas,
    because: ({ mode }) =>
      mode === 'pod' ? null : `the tunnel runs in the controller (mode worker); ${beside('mode: pod')}`,
  },
  'origin-server-name': { valueOf: ({ origin }) => origin.serverName, because: withoutTls },
  'no-tls-verify': { valueOf: ({ origin }) => origin.verifyTls, because: withoutTls },
  'ca-secret': {
    valueOf: ({ origin }) => origin.caSecret,
    because: (settings) =>
      withoutTls(settings) ??
      (settings.origin.verifyTls
        ? null
        : "cloudflare-warp/no-tls-verify has the backend's certificate not looked at; expected one of the two"),
  },
  'http2-origin': {
    valueOf: ({ origin }) => origin.http2,
    // Which is HTTP/2, as was asked for.
    because: (settings) => (settings.origin.protocol === 'h2c' ? null : withoutTls(settings)),
  },
  'http-host-header': { valueOf: ({ origin }) => origin.hostHeader, because: withoutHttp },
  'keepalive-timeout': { valueOf: ({ origin }) => origin.keepAliveTimeoutMs, because: withoutHttp },
  'keepalive-connections': { valueOf: ({ origin }) => origin.keepAliveConnections, because: withoutHttp },
  'disable-chunked-encoding': {
    valueOf: ({ origin }) => origin.chunkedEncoding,
    because: (settings) =>
      settings.origin.protocol === 'h2c'
        ? 'the backend is spoken to as h2c, and HTTP/2 has no chunked encoding; expected that it is removed'
        : withoutHttp(settings),
  },
};

/**
 * Those of the given keys that change nothing because of what the others say, each with why. One that asks for what
 * holds anyway is none of them: it misleads nobody. Pure.
 */
export function ignoredAnnotations(
  given: readonly string[],
  settings: IngressSettings,
  defaults: IngressSettings,
): readonly { readonly key: string; readonly because: string }[] {
  return given.flatMap((key) => {
    const row = rows[key];
    if (row === undefined || row.valueOf(settings) === row.valueOf(defaults)) return [];
    const because = row.because(settings);
    return because === null ? [] : [{ key, because }];
  });
}

function withoutTls({ origin }: IngressSettings): string | null {
  if (origin.protocol === 'https') return null;
  return `the backend is spoken to as ${origin.protocol}, without TLS; ${beside('backend-protocol: https')}`;
}

function withoutHttp({ origin }: IngressSettings): string | null {
  if (origin.protocol !== 'tcp') return null;
  return 'the backend is spoken to as tcp, and nothing is known of what the bytes mean; expected another cloudflare-warp/backend-protocol, or that it is removed';
}

function beside(other: string): string {
  return `expected cloudflare-warp/${other} beside it, or that it is removed`;
}
