import { expectsContinue, fieldName, isFieldValue } from './header-field.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';

/**
 * The head of a request for an origin that speaks HTTP/2 (RFC 9113, section 8.3.1) as name, value, …: the four pseudo
 * fields, then the same changes as for
 * HTTP/1.1 (protocol page, section 8.1), and no header that belongs to HTTP/1.1's framing. `te: trailers` stays:
 * gRPC asks for it. The plan has been validated.
 */
export function http2RequestHead(
  { method, target, authority, head, rules }: RequestPlan,
  framing: BodyFraming,
  scheme: 'http' | 'https',
): readonly string[] {
  const fields = [':method', method, ':scheme', scheme, ':authority', authority, ':path', target];
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
        fields.push(field.lower, value);
        break;
      case 'cookie':
        cookie = cookie === '' ? value : `${cookie}; ${value}`;
        break;
      case 'expect':
        if (!expectsContinue(value)) fields.push(field.lower, value);
        break;
      default:
    }
  }
  if (cookie !== '') fields.push('cookie', cookie);
  if (typeof framing === 'object') fields.push('content-length', String(framing.length));
  if (rules.hostHeader !== null) fields.push('x-forwarded-host', head.authority);
  fields.push('cf-warp-tag-id', rules.connectorId);
  return fields;
}

/** Trailers of a request for HTTP/2, those that may be. */
export function http2RequestTrailers(trailers: readonly string[]): readonly string[] {
  const sent: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const field = fieldName(trailers[i]!);
    if (field?.trails && isFieldValue(trailers[i + 1]!)) sent.push(field.lower, trailers[i + 1]!);
  }
  return sent;
}
