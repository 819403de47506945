/**
 * Header names as both directions of the proxy look at them. Every header line of every request and response
 * comes through here, so what is known of a name is worked out once and remembered.
 */
export interface FieldName {
  /** As it was written; a string of its own that keeps nothing else alive. */
  readonly name: string;
  readonly lower: string;
  /** `x-cache-status` → `X-Cache-Status` (protocol page, section 8.2). */
  readonly canonical: string;
  readonly role: FieldRole;
}

/**
 * What the proxy does with a header. `hop`: means something between two neighbours only and is never valid in
 * HTTP/2 (RFC 9113, section 8.2.2). `internal`: the tunnel's own, never taken from an origin (page, section 15).
 */
export type FieldRole =
  | 'plain'
  | 'hop'
  | 'internal'
  | 'connection'
  | 'keep-alive'
  | 'transfer-encoding'
  | 'upgrade'
  | 'content-length'
  | 'trailer'
  | 'host'
  | 'cookie'
  | 'expect'
  | 'sec-websocket-version'
  | 'tunnel-upgrade'
  | 'tunnel-source'
  | 'tunnel-trace'
  | 'tunnel-tag';

const roles: ReadonlyMap<string, FieldRole> = new Map<string, FieldRole>([
  ['connection', 'connection'],
  ['keep-alive', 'keep-alive'],
  ['proxy-connection', 'hop'],
  ['transfer-encoding', 'transfer-encoding'],
  ['upgrade', 'upgrade'],
  ['content-length', 'content-length'],
  ['trailer', 'trailer'],
  ['host', 'host'],
  ['cookie', 'cookie'],
  ['expect', 'expect'],
  ['sec-websocket-version', 'sec-websocket-version'],
  ['cf-cloudflared-proxy-connection-upgrade', 'tunnel-upgrade'],
  ['cf-cloudflared-proxy-src', 'tunnel-source'],
  ['cf-trace-id', 'tunnel-trace'],
  ['cf-warp-tag-id', 'tunnel-tag'],
]);

/** Names remembered at once; when strangers have filled it with nonsense it starts again. */
const maxRememberedNames = 2_000;
/** Longer names are worked out each time, so that the memory of names stays small. */
const maxRememberedNameLength = 64;
const remembered = new Map<string, FieldName>();

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const illegalInValue = /[^\t\x20-\x7e\x80-\xff]/;

/** What is known of a header name in any case, or null when it is no token (RFC 9110, section 5.6.2). */
export function fieldName(name: string): FieldName | null {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  if (!token.test(name)) return null;
  const lower = name.toLowerCase();
  const field: FieldName = { name: flat(name), lower, canonical: canonicalName(lower), role: roleOf(lower) };
  if (name.length > maxRememberedNameLength) return field;
  if (remembered.size >= maxRememberedNames) remembered.clear();
  remembered.set(field.name, field);
  return field;
}

/** Whether a value is free of CR, LF, NUL, other controls, and of characters that are no single byte. */
export function isFieldValue(value: string): boolean {
  return !illegalInValue.test(value);
}

function roleOf(lower: string): FieldRole {
  const role = roles.get(lower);
  if (role !== undefined) return role;
  return /^cf-(int|cloudflared|proxy)-/.test(lower) ? 'internal' : 'plain';
}

function canonicalName(lower: string): string {
  return lower.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

/** A copy that does not keep alive the whole head that the name was cut from. */
function flat(name: string): string {
  return Buffer.from(name, 'latin1').toString('latin1');
}
