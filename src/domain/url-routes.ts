import { defaultOriginSettings } from './ingress.ts';
import type { RouteTable } from './routes.ts';

/** Everything that is asked of `host` goes to the origin at `url`: http or https, without a path. */
export function routesToUrl(host: string, url: string): RouteTable {
  const { protocol, hostname, port } = new URL(url);
  const isHttps = protocol === 'https:';
  const address = {
    // The brackets of an IPv6 address belong to the URL.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (isHttps ? 443 : 80) : Number(port),
  };
  const settings = { ...defaultOriginSettings, protocol: isHttps ? 'https' : 'http' } as const;
  const target = { kind: 'origin', origin: { addresses: [address], settings, ca: null } } as const;
  return { host, routes: [{ path: '/', match: 'prefix', target }], access: null };
}

/** The URL that says as much as this table, or null when it takes more than one to say it. */
export function urlOf(table: RouteTable): string | null {
  const target = table.routes[0]?.target;
  const address = target?.kind === 'origin' ? target.origin.addresses[0] : undefined;
  if (target?.kind !== 'origin' || address === undefined) return null;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const url = `${target.origin.settings.protocol}://${host}:${address.port}`;
  if (!URL.canParse(url)) return null;
  return JSON.stringify(routesToUrl(table.host, url)) === JSON.stringify(table) ? url : null;
}
