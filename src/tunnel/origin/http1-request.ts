import type { RequestHead } from '../edge-session.ts';
import { expectsContinue, fieldName, isFieldValue } from './header-field.ts';

/**
 * Writes the head of the request that an origin gets for a stream of the edge (protocol page, section 8.1).
 * HTTP/2 has validated the stream's head already; here nothing is believed, because one CR LF that slips
 * through is a second request (RFC 9112, section 11.2).
 */

/** What a request's head says, ready to be written once it is known how its body is framed. */
export interface RequestPlan {
  readonly method: string;
  /** Request line and all header lines but those of the framing. */
  readonly lines: string;
  /** Host and perhaps port of the request as the origin sees it. */
  readonly authority: string;
  /** Path and query as they go out. */
  readonly target: string;
  /** As it came from the edge, for an origin that speaks HTTP/2. */
  readonly head: RequestHead;
  readonly rules: RequestRules;
  /** What `content-length` says, or -1. */
  readonly contentLength: number;
  /** The body may be held back until a 100 has come (RFC 9110, section 10.1.1). */
  readonly expectsContinue: boolean;
  /** Names that `trailer` announces, in lower case; others are not passed on. */
  readonly announcedTrailers: readonly string[];
  /** Wants a WebSocket: `Connection: Upgrade` is among the lines, there is no body. */
  readonly websocket: boolean;
  /** A private-network TCP stream (page, sections 5.1 and 9.3), not a request. */
  readonly privateTcp: boolean;
}

export type BodyFraming = 'none' | 'chunked' | { readonly length: number };

export interface RequestRules {
  readonly connectorId: string;
  /** Replaces Host; the original goes to X-Forwarded-Host. */
  readonly hostHeader: string | null;
}

/** Why a head cannot be sent: always a fault of the peer, answered with RST_STREAM PROTOCOL_ERROR. */
export interface RequestRefusal {
  readonly refused: string;
}

const methodToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Host and optional port; user information and everything that could end a header line is not in it. */
const authorityChars = /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]*$/;
/** RFC 3986 path characters and escapes, and brackets, which no browser escapes and cloudflared leaves as they are. */
const legalPath = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]*$/;
const illegalPathChar = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/g;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/;
/** A query goes out as it came; only what would end the request line is refused. */
const illegalInQuery = /[^\x21-\x7e\x80-\xff]/;
const illegalInPath = /[^\x20-\x7e\x80-\xff]/;
const decimal = /^[0-9]{1,15}$/;
const noNames: readonly string[] = [];

export function planRequest(head: RequestHead, rules: RequestRules): RequestPlan | RequestRefusal {
  if (!methodToken.test(head.method) || head.method === 'CONNECT') return refuse('method');
  const target = requestTarget(head.path);
  if (target === null) return refuse('path');

  let host = head.authority;
  let lines = '';
  let cookie = '';
  let contentLength = -1;
  let announcedTrailers = noNames;
  let awaitsContinue = false;
  let websocket = false;
  let websocketVersion = '';
  let privateTcp = false;
  const headers = head.headers;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const value = headers[i + 1]!;
    const field = fieldName(headers[i]!);
    if (field === null) return refuse('name of a header');
    const line = field.line(value);
    if (line === null) return refuse(`value of ${field.lower}`);
    switch (field.role) {
      case 'connection':
      case 'keep-alive':
      case 'transfer-encoding':
      case 'upgrade':
      case 'hop':
        return refuse(`${field.lower} is not allowed in HTTP/2`);
      case 'host':
        // Only stands in for a missing :authority (page, section 5.1).
        if (head.authority !== '') break;
        if (host !== '' && host !== value) return refuse('two hosts');
        host = value;
        break;
      case 'cookie':
        cookie = cookie === '' ? value : `${cookie}; ${value}`;
        break;
      case 'content-length': {
        const length = decimal.test(value) ? Number(value) : -1;
        if (length < 0 || (contentLength >= 0 && contentLength !== length)) return refuse('content-length');
        contentLength = length;
        break;
      }
      case 'tunnel-upgrade':
        websocket = value === 'websocket';
        break;
      case 'trailer':
        announcedTrailers = value
          .toLowerCase()
          .split(',')
          .map((name) => name.trim())
          .filter((name) => fieldName(name)?.trails);
        break;
      case 'expect':
        if (expectsContinue(value)) awaitsContinue = true;
        else lines += line;
        break;
      case 'tunnel-trace':
      case 'tunnel-tag':
        break;
      case 'sec-websocket-version':
        websocketVersion = line;
        break;
      case 'tunnel-source':
        privateTcp = value !== '';
        lines += line;
        break;
      default:
        lines += line;
    }
  }
  if (!authorityChars.test(host)) return refuse('authority');
  if (head.ended && contentLength > 0) return refuse('content-length of a request without a body');
  if (cookie !== '') lines += `Cookie: ${cookie}\r\n`;
  if (rules.hostHeader !== null) lines += `X-Forwarded-Host: ${host}\r\n`;
  lines += websocket
    ? 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-Websocket-Version: 13\r\n'
    : `${websocketVersion}Connection: keep-alive\r\n`;
  const sentHost = rules.hostHeader ?? host;
  return {
    method: head.method,
    lines: `${head.method} ${target} HTTP/1.1\r\nHost: ${sentHost}\r\n${lines}Cf-Warp-Tag-Id: ${rules.connectorId}\r\n`,
    authority: sentHost,
    target,
    head,
    rules,
    contentLength,
    expectsContinue: awaitsContinue && !websocket,
    announcedTrailers,
    websocket,
    privateTcp: privateTcp && !websocket,
  };
}

/** The whole head, with the empty line. */
export function requestHeadText(plan: RequestPlan, framing: BodyFraming): string {
  if (framing === 'none') return `${plan.lines}\r\n`;
  if (framing !== 'chunked') return `${plan.lines}Content-Length: ${framing.length}\r\n\r\n`;
  if (plan.announcedTrailers.length === 0) return `${plan.lines}Transfer-Encoding: chunked\r\n\r\n`;
  return `${plan.lines}Transfer-Encoding: chunked\r\nTrailer: ${plan.announcedTrailers.join(', ')}\r\n\r\n`;
}

/** Trailer lines of a chunked body, with the empty line: those that were announced and may be trailers. */
export function trailerText(announced: readonly string[], trailers: readonly string[]): string {
  let text = '';
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const field = fieldName(trailers[i]!);
    if (field === null || !announced.includes(field.lower)) continue;
    if (isFieldValue(trailers[i + 1]!)) text += `${field.canonical}: ${trailers[i + 1]}\r\n`;
  }
  return `${text}\r\n`;
}

/**
 * The host of an authority: `[::1]:8080` → `[::1]`, `app.example.com:443` → `app.example.com`. So is `app.example.com.`,
 * the same name to DNS, which browsers send as it was typed; SNI has no such dot (RFC 6066, section 3).
 */
export function hostOf(authority: string): string {
  const colon = authority.endsWith(']') ? -1 : authority.lastIndexOf(':');
  const host = colon < 0 ? authority : authority.slice(0, colon);
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/**
 * `:path` as it goes out: unchanged where it is legal, illegal bytes of the path percent-encoded, the query never
 * touched. Null when an escape is broken or a byte would end the request line. Existing escapes stay as they
 * are: to decode `%2F` for the origin and not for our own routing would let a request past its route.
 */
function requestTarget(path: string): string | null {
  if (path === '*') return path;
  if (path.charCodeAt(0) !== 47) return null;
  const query = path.indexOf('?');
  const bare = query < 0 ? path : path.slice(0, query);
  const rest = query < 0 ? '' : path.slice(query);
  if (illegalInQuery.test(rest)) return null;
  if (bare.includes('%') && brokenEscape.test(bare)) return null;
  if (legalPath.test(bare)) return path;
  if (illegalInPath.test(bare)) return null;
  return bare.replace(illegalPathChar, escapeByte) + rest;
}

function escapeByte(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

function refuse(what: string): RequestRefusal {
  return { refused: what };
}
