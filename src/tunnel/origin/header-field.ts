/**
 * Header names as both directions of the proxy look at them. Every header line of every request and response
 * comes through here, so what is known of a name is worked out once and remembered.
 */

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

/**
 * What frames, routes, authorizes or describes a message means nothing behind it (RFC 9110, section 6.5.1), and is a breach
 * of HTTP/2 (`te`) or a way around a check where somebody puts it into the head. So it is with `if-`. Go's list, so cloudflared's.
 */
const notInTrailers = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'realm',
  'te',
  'www-authenticate',
]);

/** Names remembered at once; when strangers have filled it with nonsense it starts again. */
const maxRememberedNames = 1_000;
/** Longer names are worked out each time, so that the memory of names stays small. */
const maxRememberedNameLength = 64;
const remembered = new Map<string, FieldName>();
/** Longer values hardly ever come twice. */
const maxRememberedValueLength = 256;
/** What a remembered value may keep alive. */
export const maxRememberedTextLength = 2_048;
/** Their values are somebody's secret: nothing keeps them longer than it must. */
const secret = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'cf-access-jwt-assertion',
]);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const illegalInValue = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * A header name, and the value that it had last in either direction: most values come again and again, and the same
 * one need not be looked at twice.
 */
export class FieldName {
  /** As it was written; a string of its own that keeps nothing else alive. */
  readonly name: string;
  readonly lower: string;
  /** `x-cache-status` → `X-Cache-Status` (protocol page, section 8.2). */
  readonly canonical: string;
  readonly role: FieldRole;
  /** May be passed on as a trailer. */
  readonly trails: boolean;
  readonly #remembers: boolean;
  #lastSent: string | null = null;
  /** The line of `#lastSent`, in one piece, once that has come twice. */
  #lastLine: string | null = null;
  #lastReceived: string | null = null;

  constructor(name: string, lower: string) {
    this.name = name;
    this.lower = lower;
    this.canonical = canonicalName(lower);
    this.role = roleOf(lower);
    this.trails = this.role === 'plain' && !notInTrailers.has(lower) && !lower.startsWith('if-');
    this.#remembers = !secret.has(lower);
  }

  /** The whole line for an origin, with its end; null when the value may not be in one. */
  line(value: string): string | null {
    if (value === this.#lastSent) {
      this.#lastLine ??= flat(`${this.canonical}: ${value}\r\n`);
      return this.#lastLine;
    }
    if (!isFieldValue(value)) return null;
    if (this.#remembers && value.length <= maxRememberedValueLength) {
      this.#lastSent = value;
      this.#lastLine = null;
    }
    return `${this.canonical}: ${value}\r\n`;
  }

  /**
   * The value `text[from, to)` from an origin, or null when it may not be one. Where it is remembered, `text` stays in
   * memory with it.
   */
  received(text: string, from: number, to: number): string | null {
    const last = this.#lastReceived;
    if (last !== null && last.length === to - from && text.startsWith(last, from)) return last;
    const value = text.slice(from, to);
    if (!isFieldValue(value)) return null;
    if (
      this.#remembers &&
      value.length <= maxRememberedValueLength &&
      text.length <= maxRememberedTextLength
    ) {
      this.#lastReceived = value;
    }
    return value;
  }
}

/** What is known of a header name in any case, or null when it is no token (RFC 9110, section 5.6.2). */
export function fieldName(name: string): FieldName | null {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  if (!token.test(name)) return null;
  const field = new FieldName(flat(name), flat(name).toLowerCase());
  if (name.length > maxRememberedNameLength) return field;
  if (remembered.size >= maxRememberedNames) remembered.clear();
  remembered.set(field.name, field);
  return field;
}

/**
 * Of an `Expect` (RFC 9110, section 10.1.1): we answer it with a 100 ourselves, so it goes no further. Another
 * expectation is the origin's to decline.
 */
export function expectsContinue(value: string): boolean {
  return value.toLowerCase() === '100-continue';
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

/** A copy that does not keep alive the whole head that the text was cut from. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
