import { hostHash } from '../domain/host.ts';

/**
 * The TXT record that says whose a published name is. It stands beside the CNAME under a name of its own,
 * because a wildcard or an apex may have other TXT records at the name itself. Holds nothing secret.
 */
export interface OwnerMark {
  readonly owner: string;
  readonly host: string;
  /** Id of the CNAME that was made: one that somebody else made later at the same name is not ours. */
  readonly record: string;
}

/**
 * `_cloudflare-warp.<host>`, with `_wildcard` for `*` (no host has such a label). A name that would be too long
 * for DNS is replaced by its hash directly under the zone.
 */
export function markName(host: string, zone: string): string {
  const name = `${markPrefix}${host.replace(/^\*(?=\.)/, '_wildcard')}`;
  return name.length <= maxNameLength ? name : `${markPrefix}${hostHash(host)}.${zone}`;
}

/** As one TXT content: quoted strings of at most 255 characters each (RFC 1035, section 3.3.14). */
export function markContent(mark: OwnerMark): string {
  const fields = { heritage, owner: mark.owner, host: mark.host, record: mark.record };
  const text = Object.entries(fields)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join(',');
  return (text.match(/.{1,255}/g) ?? []).map((part) => `"${part}"`).join(' ');
}

/** Null for a TXT record that is no owner mark. Cloudflare gives contents back with or without the quotes. */
export function parseMark(content: string): OwnerMark | null {
  const quoted = content.match(/"[^"]*"/g);
  const text = quoted === null ? content : quoted.map((part) => part.slice(1, -1)).join('');
  const fields = new Map<string, string>();
  for (const field of text.split(',')) {
    const equals = field.indexOf('=');
    if (equals > 0) fields.set(field.slice(0, equals).trim(), decoded(field.slice(equals + 1).trim()));
  }
  const [owner, host] = [fields.get('owner'), fields.get('host')];
  if (fields.get('heritage') !== heritage || !owner || !host) return null;
  return { owner, host, record: fields.get('record') ?? '' };
}

/** What the name of every mark begins with. */
export const markPrefix = '_cloudflare-warp.';

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const heritage = 'cloudflare-warp-ingress';
const maxNameLength = 253;
