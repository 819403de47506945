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
