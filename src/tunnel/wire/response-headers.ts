import { type Decoded, decoded, MalformedError } from './malformed.ts';

/**
 * An origin's response headers, serialized into the one header `cf-cloudflared-response-headers` (protocol page
 * section 8.2): `base64(name):base64(value)` joined with `;`, standard alphabet, no padding.
 */

/** Encoded names kept for reuse; beyond it the cache starts over, so an origin cannot make it grow. */
export const maxCachedNames = 1024;

/** Longer names are encoded each time. */
const maxCachedNameLength = 64;

/** Longer values hardly ever come twice. */
const maxKeptValueLength = 256;

/** A name as it is sent, and what was sent with it last: most values come again and again. */
interface KnownName {
  /** Its canonical form in base64, and the colon. */
  readonly encoded: string;
  readonly keepsValue: boolean;
  lastValue: string | null;
  lastPair: string;
}

/** By the name as the origin wrote it; null for "never sent". */
const knownNames = new Map<string, KnownName | null>();

/**
 * `headers` is name, value, … in any case, latin1 as `node:http` and our origin client give them. Headers that
 * must not go up (`cf-int-*`, `cf-cloudflared-*`, `cf-proxy-*`) and those of HTTP/1.1 framing
 * (`transfer-encoding`, `trailer`) are left out. On the hot path.
 */
export function encodeResponseHeaders(headers: readonly string[]): string {
  let serialized = '';
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = knownName(headers[index] as string);
    if (name === null) continue;
    const pair = encodedPair(name, headers[index + 1] as string);
    serialized = serialized === '' ? pair : `${serialized};${pair}`;
  }
  return serialized;
}

/** The list as name, value, …; refuses what an HTTP response could not carry (CR, LF, NUL, no token). */
export function decodeResponseHeaders(serialized: string): Decoded<string[]> {
  return decoded(() => {
    const headers: string[] = [];
    for (const part of serialized.split(';')) {
      if (part === '') continue;
      const [name, value, ...more] = part.split(':');
      if (name === undefined || value === undefined || more.length > 0) {
        throw new MalformedError('a serialized header is not one name and one value');
      }
      headers.push(checkedName(fromUnpaddedBase64(name)), checkedValue(fromUnpaddedBase64(value)));
    }
    return headers;
  });
}

function knownName(name: string): KnownName | null {
  const cached = knownNames.get(name);
  if (cached !== undefined) return cached;
  const lower = name.toLowerCase();
  const known = mayGoUp(lower)
    ? {
        encoded: `${unpaddedBase64(canonicalName(name))}:`,
        keepsValue: lower !== 'set-cookie',
        lastValue: null,
        lastPair: '',
      }
    : null;
  if (name.length <= maxCachedNameLength) {
    if (knownNames.size >= maxCachedNames) knownNames.clear();
    knownNames.set(name, known);
  }
  return known;
}

function encodedPair(name: KnownName, value: string): string {
  if (value === name.lastValue) return name.lastPair;
  const pair = name.encoded + unpaddedBase64(value);
  if (name.keepsValue && value.length <= maxKeptValueLength) {
    name.lastValue = value;
    name.lastPair = pair;
  }
  return pair;
}

function mayGoUp(lowerCaseName: string): boolean {
  return !(
    lowerCaseName.startsWith(':') ||
    lowerCaseName.startsWith('cf-int-') ||
    lowerCaseName.startsWith('cf-cloudflared-') ||
    lowerCaseName.startsWith('cf-proxy-') ||
    lowerCaseName === 'transfer-encoding' ||
    lowerCaseName === 'trailer'
  );
}

/** `x-cache-status` → `X-Cache-Status`. */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function unpaddedBase64(latin1: string): string {
  const padded = btoa(latin1);
  switch (latin1.length % 3) {
    case 0:
      return padded;
    case 1:
      return padded.slice(0, -2);
    default:
      return padded.slice(0, -1);
  }
}

const base64Text = /^[A-Za-z0-9+/]*$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function fromUnpaddedBase64(text: string): string {
  if (!base64Text.test(text) || text.length % 4 === 1) {
    throw new MalformedError('a serialized header is not unpadded base64');
  }
  return Buffer.from(text, 'base64').toString('latin1');
}

function checkedName(name: string): string {
  if (!token.test(name)) throw new MalformedError('a serialized header name is not a token');
  return name;
}

function checkedValue(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new MalformedError('a serialized header value holds CR, LF or NUL');
  return value;
}
