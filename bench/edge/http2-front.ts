import type { Socket } from 'node:net';
import type { EdgeStream, RequestHead } from '../../src/tunnel/edge-session.ts';
import { createEdgeSession } from '../../src/tunnel/http2/server/session.ts';
import type { StreamHandler } from '../../src/tunnel/http2/stream.ts';
import type { HeaderField } from '../../src/tunnel/wire/hpack-static.ts';
import { http2Error } from '../../src/tunnel/wire/http2-errors.ts';
import { decodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import { endWithBug } from '../bug.ts';
import type { Exchange } from '../http2-connection.ts';
import { addedHeaders, nextRay, type Route, serializedHeader, tunnelOf } from './visitors.ts';

/** Headers of HTTP/1.1 alone (RFC 9113, section 8.2.2). */
const hopHeaders = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade']);
/** A bench gets the same few heads back: each is read once. */
const knownResponses = new Map<string, readonly string[]>();
const maxKnown = 1000;

/**
 * One client's connection at the edge's public side in HTTP/2, in the clear (RFC 9113, section 3.3): each of its streams
 * is one of a tunnel. An answer that the client does not take is queued whole, so it is for small ones.
 */
export function serveHttp2Front(socket: Socket, route: Route): void {
  createEdgeSession(socket, {
    stream: (stream, head) => carry(stream, head, route),
    goaway: () => {},
    handlerThrew: endWithBug,
    ended: () => {},
  });
}

function carry(stream: EdgeStream, head: RequestHead, route: Route): StreamHandler {
  const tunnel = route(tunnelOf(head.authority));
  if (tunnel === null) {
    stream.respond(502, [], true);
    return { data: () => {}, end: () => {}, reset: () => {}, drain: () => {} };
  }
  const pseudo = [
    ':method',
    head.method,
    ':scheme',
    'https',
    ':authority',
    head.authority,
    ':path',
    head.path,
  ];
  const headers = [...pseudo, ...head.headers, ...addedHeaders, 'cf-ray', nextRay()];
  const id = tunnel.open(headers, head.ended, new Answer(stream));
  return {
    data: (chunk) => tunnel.write(id, Buffer.from(chunk)),
    end: () => tunnel.end(id),
    reset: () => tunnel.cancel(id),
    drain: () => {},
  };
}

/** The way back of one stream. */
class Answer implements Exchange {
  readonly #stream: EdgeStream;

  constructor(stream: EdgeStream) {
    this.#stream = stream;
  }

  headers(fields: readonly HeaderField[]): void {
    let serialized = '';
    let status = 502;
    for (const { name, value } of fields) {
      if (name === ':status') status = Number(value);
      else if (name === serializedHeader) serialized = value;
    }
    this.#stream.respond(status, responseHeaders(serialized), false);
  }

  data(piece: Buffer): void {
    this.#stream.write(piece);
  }

  ended(): void {
    this.#stream.end();
  }

  failed(): void {
    this.#stream.reset(http2Error.internalError);
  }
}

function responseHeaders(serialized: string): readonly string[] {
  const known = knownResponses.get(serialized);
  if (known !== undefined) return known;
  const decoded = decodeResponseHeaders(serialized);
  if (!decoded.ok) throw new Error('serialized response headers cannot be decoded');
  const headers: string[] = [];
  for (let i = 0; i + 1 < decoded.value.length; i += 2) {
    const name = decoded.value[i]!.toLowerCase();
    if (!hopHeaders.has(name)) headers.push(name, decoded.value[i + 1]!);
  }
  if (knownResponses.size >= maxKnown) knownResponses.clear();
  knownResponses.set(serialized, headers);
  return headers;
}
