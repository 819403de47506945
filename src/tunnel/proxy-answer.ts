import type { EdgeStream } from './edge-session.ts';
import type { StreamHandler } from './http2/stream.ts';
import { fieldName } from './origin/header-field.ts';
import type { ResponseHead } from './origin/http1-head.ts';
import { http2Error } from './wire/http2-errors.ts';
import { encodeResponseHeaders } from './wire/response-headers.ts';

/**
 * The heads of all answers to the edge (protocol page, sections 8.2 and 8.3). `src` tells the edge whether the
 * origin (or a rule of the user) said it, or we could not reach the origin.
 */
const originMeta = '{"src":"origin"}';
const ownMeta = '{"src":"cloudflared"}';

/**
 * The origin's head. 101 becomes 200: HTTP/2 has no upgrade; the real handshake is in the serialized list. False,
 * and nothing was sent: the edge does not take a head that large.
 */
export function respondFromOrigin(stream: EdgeStream, head: ResponseHead): boolean {
  const headers = [
    'cf-cloudflared-response-meta',
    originMeta,
    'cf-cloudflared-response-headers',
    encodeResponseHeaders(head.headers),
  ];
  if (head.contentLength >= 0 && head.status !== 101 && head.status !== 204) {
    headers.push('content-length', String(head.contentLength));
  }
  if (!stream.takes(headers)) return false;
  stream.respond(head.status === 101 ? 200 : head.status, headers, head.bodyless);
  return true;
}

/** An answer that a rule gives, no origin: `http_status` in cloudflared's words. */
export function respondByRule(stream: EdgeStream, status: number): void {
  stream.respond(
    status,
    ['cf-cloudflared-response-meta', originMeta, 'cf-cloudflared-response-headers', ''],
    true,
  );
}

/** An answer for want of one from the origin. */
export function respondOurselves(stream: EdgeStream, status: number): void {
  stream.respond(status, ['cf-cloudflared-response-meta', ownMeta, 'content-length', '0'], true);
}

/** An origin's trailers as HTTP/2 carries them: plain names in lower case, of those that trail. */
export function edgeTrailers(trailers: readonly string[]): readonly string[] {
  if (trailers.length === 0) return trailers;
  const kept: string[] = [];
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const field = fieldName(trailers[i]!);
    if (field?.trails) kept.push(field.lower, trailers[i + 1]!);
  }
  return kept;
}

/** After a whole answer: asks the peer to stop a request body that nobody will read (RFC 9113, section 8.1). */
export function stopRequest(stream: EdgeStream): void {
  stream.reset(http2Error.noError);
}

/** The other end of a stream that is answered already. */
export const answered: StreamHandler = {
  data() {},
  end() {},
  reset() {},
  drain() {},
};
