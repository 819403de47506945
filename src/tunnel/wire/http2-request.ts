import type { HeaderField } from './hpack-static.ts';
import { bareValue, hasSoundValue, kindOf, nameKind, quote, readLength } from './http2-fields.ts';

/**
 * From a decoded header list to a request (RFC 9113, sections 8.2 and 8.3), as strict as the connector's
 * counterpart in cloudflared is (protocol page, section 5.1) and stricter where HTTP/1.1 could be smuggled.
 */
export type RequestReading = ReadRequest | RequestAnswer | MalformedRequest;

export interface ReadRequest {
  readonly kind: 'request';
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  /** `:authority`, or `host` where there is none; empty if neither is given. */
  readonly authority: string;
  /** name, value, …; without `host`, whose place `authority` has. */
  readonly headers: readonly string[];
  readonly ended: boolean;
  /** The announced length of the body, -1 if none was. */
  readonly contentLength: number;
}

/** To be answered at this layer, plainly and without any `cf-cloudflared-*` header. */
export interface RequestAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly text: string;
  /** To HEAD: the text is announced and not sent (RFC 9110, section 9.3.2). */
  readonly headOnly: boolean;
}

/** RST_STREAM PROTOCOL_ERROR. */
export interface MalformedRequest {
  readonly kind: 'malformed';
  readonly why: string;
}

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const brokenEscapePattern = /%(?![0-9A-Fa-f]{2})/;
/** Not in any host and port, and dangerous in a Host line. */
const badAuthorityPattern = /[\s@/\\?#]/;

export function readRequest(fields: readonly HeaderField[] | null, ended: boolean): RequestReading {
  if (fields === null) return plainly(431, 'Request header fields too large');
  let method: string | undefined;
  let path: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let host: string | undefined;
  let contentLength = -1;
  let answer: RequestAnswer | undefined;
  const headers: string[] = [];
  let regular = false;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    const { name } = field;
    const kind = kindOf(field);
    // Of what frames the message, or says where it goes or what it is for, nothing is taken away.
    const value = kind === nameKind.regular || hasSoundValue(field) ? bareValue(field) : null;
    if (value === null) return malformed(`the value of ${quote(name)} has forbidden characters`);
    if (kind === nameKind.regular) {
      regular = true;
      headers.push(name, value);
      continue;
    }
    if (kind >= nameKind.method && kind <= nameKind.authority && regular) {
      return malformed(`${name} stands after a regular field`);
    }
    switch (kind) {
      case nameKind.method:
        if (method !== undefined) return malformed('two :method');
        method = value;
        break;
      case nameKind.path:
        if (path !== undefined) return malformed('two :path');
        path = value;
        break;
      case nameKind.scheme:
        if (scheme !== undefined) return malformed('two :scheme');
        scheme = value;
        break;
      case nameKind.authority:
        if (authority !== undefined) return malformed('two :authority');
        authority = value;
        break;
      case nameKind.host:
        regular = true;
        if (host !== undefined && host !== value) return malformed('two different host fields');
        host = value;
        break;
      case nameKind.contentLength: {
        regular = true;
        const bytes = readLength(value, contentLength);
        if (typeof bytes === 'string') return malformed(bytes);
        if (contentLength < 0) headers.push(name, value);
        contentLength = bytes;
        break;
      }
      case nameKind.purpose:
        regular = true;
        headers.push(name, value);
        break;
      case nameKind.te:
        regular = true;
        if (value.toLowerCase() === 'trailers') headers.push(name, value);
        else answer ??= badRequest('request header "TE" may only be "trailers" in HTTP/2');
        break;
      case nameKind.connection:
        regular = true;
        answer ??= badRequest(`request header "${name}" is not valid in HTTP/2`);
        break;
      default:
        return malformed(`${quote(name)} is not a field name`);
    }
  }
  if (method === undefined) return malformed('no :method');
  if (!tokenPattern.test(method)) return malformed(':method is not a token');
  if (method === 'CONNECT') {
    // Its form differs (section 8.5) and no route of ours can mean it.
    return plainly(501, 'CONNECT is not supported');
  }
  if (scheme !== 'https' && scheme !== 'http') return malformed(':scheme is neither http nor https');
  if (path === undefined) return malformed('no :path');
  if (path.charCodeAt(0) !== 0x2f && path !== '*') return malformed(':path is neither * nor begins with /');
  if (hasBrokenEscape(path)) return malformed(':path has a broken percent escape');
  const name = authority === undefined || authority === '' ? (host ?? '') : authority;
  if (badAuthorityPattern.test(name)) return malformed(':authority is not a host');
  if (ended && contentLength > 0) return malformed('content-length without a body');
  if (answer !== undefined) return { ...answer, headOnly: method === 'HEAD' };
  return { kind: 'request', method, path, scheme, authority: name, headers, ended, contentLength };
}

function hasBrokenEscape(path: string): boolean {
  if (!path.includes('%')) return false;
  const query = path.indexOf('?');
  return brokenEscapePattern.test(query < 0 ? path : path.slice(0, query));
}

function badRequest(text: string): RequestAnswer {
  return plainly(400, text);
}

function plainly(status: number, text: string): RequestAnswer {
  return { kind: 'answer', status, text, headOnly: false };
}

function malformed(why: string): MalformedRequest {
  return { kind: 'malformed', why };
}
