import { createHash } from 'node:crypto';

/** Short, stable name of a host for object names and label values, where a wildcard or 253 characters break. */
export function hostHash(host: string): string {
  return createHash('sha256').update(host).digest('hex').slice(0, 20);
}

const namePrefix = 'warp-';

/** Name of the tunnel at Cloudflare; the identity in it says whose it is. */
export function tunnelName(identity: string, host: string): string {
  return `${namePrefix}${identity}-${host}`;
}

/**
 * Every way to read a tunnel's name: identities and hosts may both have hyphens, so `warp-a-b-x.example.com` is of
 * `a` for `b-x.example.com` or of `a-b` for `x.example.com`. Empty for a name that is not of our form.
 */
export function readingsOf(name: string): readonly TunnelReading[] {
  if (!name.startsWith(namePrefix)) return [];
  const rest = name.slice(namePrefix.length);
  const readings: TunnelReading[] = [];
  for (let at = rest.indexOf('-'); at >= 0; at = rest.indexOf('-', at + 1)) {
    const [identity, host] = [rest.slice(0, at), rest.slice(at + 1)];
    if (identity !== '' && isPublishableHost(host)) readings.push({ identity, host });
  }
  return readings;
}

export interface TunnelReading {
  readonly identity: string;
  readonly host: string;
}

/** Whether an identity is a piece of the UUID that another one begins with: nobody has the rest of it as the beginning of a host. */
export function cutsUuid(shorter: string, identity: string): boolean {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(identity)?.[0] ?? '';
  return shorter.length < uuid.length && uuid.startsWith(shorter);
}

/** The published name of a tunnel: the CNAME's content and the Ingress' status. */
export function tunnelHostname(tunnelId: string): string {
  return `${tunnelId}.cfargotunnel.com`;
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** RFC 1123 name of two labels or more in lower case, optionally with one leading `*.`. */
export function isPublishableHost(host: string): boolean {
  const name = host.startsWith('*.') ? host.slice(2) : host;
  const labels = name.split('.');
  return host.length <= 253 && labels.length >= 2 && labels.every((part) => label.test(part));
}
