import { expectsContinue, fieldName, isFieldValue } from './header-field.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';

/** The head of a request as HTTP/2 carries it, both lists name, value, …. */
export interface Http2RequestHead {
  readonly pseudo: readonly string[];
  readonly headers: readonly string[];
}

/**
 * The head of a request for an origin that speaks HTTP/2 (RFC 9113, section 8.3.1): the same changes as for
 * HTTP/1.1 (protocol page, section 8.1), and no header that belongs to HTTP/1.1's framing. `te: trailers` stays:
 * gRPC asks for it. The plan has been validated.
 */
export function http2RequestHead(
  { method, target, authority, head, rules }: RequestPlan,
  framing: BodyFraming,
  scheme: 'http' | 'https',
): Http2RequestHead {
  const headers: string[] = [];
  let cookie = '';
  for (let i = 0; i + 1 < head.headers.length; i += 2) {
    const value = head.headers[i + 1]!;
    const field = fieldName(head.headers[i]!);
    if (field === null) continue;
    switch (field.role) {
      case 'plain':
      case 'internal':
      case 'trailer':
      case 'sec-websocket-version':
        headers.push(field.lower, value);
        break;
      case 'cookie':
        cookie = cookie === '' ? value : `${cookie}; ${value}`;
        break;
      case 'expect':
        if (!expectsContinue(value)) headers.push(field.lower, value);
        break;
      default:
    }
  }
  if (cookie !== '') headers.push('cookie', cookie);
  if (typeof framing === 'object') headers.push('content-length', String(framing.length));
  if (rules.hostHeader !== null) headers.push('x-forwarded-host', head.authority);
  headers.push('cf-warp-tag-id', rules.connectorId);
  return {
    pseudo: [':method', method, ':scheme', scheme, ':authority', authority, ':path', target],
    headers,
  };
}

/** Trailers of a request for HTTP/2; what frames or is internal is left out. */
export function http2RequestTrailers(trailers: readonly string[]): readonly string[] {
  const sent: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const field = fieldName(trailers[i]!);
    if (field?.role === 'plain' && isFieldValue(trailers[i + 1]!)) sent.push(field.lower, trailers[i + 1]!);
  }
  return sent;
}
