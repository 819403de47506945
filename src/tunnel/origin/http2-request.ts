import type { OutgoingHttpHeaders } from 'node:http2';
import { expectsContinue, fieldName, isFieldValue } from './header-field.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';

/**
 * The head of a request for an origin that speaks HTTP/2 (RFC 9113, section 8.3.1): the same changes as for
 * HTTP/1.1 (protocol page, section 8.1), and no header that belongs to HTTP/1.1's framing. `te: trailers` stays:
 * gRPC asks for it. The plan has been validated.
 */
export function http2RequestHead(
  { method, target, authority, head, rules }: RequestPlan,
  framing: BodyFraming,
  scheme: 'http' | 'https',
): OutgoingHttpHeaders {
  const sent = new Map<string, string | string[]>([
    [':method', method],
    [':scheme', scheme],
    [':authority', authority],
    [':path', target],
  ]);
  const { headers } = head;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const field = fieldName(headers[i]!);
    if (field === null) continue;
    switch (field.role) {
      case 'plain':
      case 'internal':
      case 'trailer':
      case 'cookie':
      case 'sec-websocket-version':
        add(sent, field.lower, headers[i + 1]!);
        break;
      case 'expect':
        if (!expectsContinue(headers[i + 1]!)) add(sent, field.lower, headers[i + 1]!);
        break;
      default:
    }
  }
  if (typeof framing === 'object') sent.set('content-length', String(framing.length));
  if (rules.hostHeader !== null) add(sent, 'x-forwarded-host', head.authority);
  sent.set('cf-warp-tag-id', rules.connectorId);
  return Object.fromEntries(sent);
}

/** Trailers of a request for HTTP/2; what frames or is internal is left out. */
export function http2RequestTrailers(trailers: readonly string[]): OutgoingHttpHeaders {
  const sent = new Map<string, string | string[]>();
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const field = fieldName(trailers[i]!);
    if (field?.role === 'plain' && isFieldValue(trailers[i + 1]!)) add(sent, field.lower, trailers[i + 1]!);
  }
  return Object.fromEntries(sent);
}

function add(sent: Map<string, string | string[]>, name: string, value: string): void {
  const before = sent.get(name);
  if (before === undefined) sent.set(name, value);
  else if (typeof before === 'string')
    sent.set(name, name === 'cookie' ? `${before}; ${value}` : [before, value]);
  else before.push(value);
}
