import { expect } from 'chai';
import type { ResponseHead } from '../../src/tunnel/origin/http1-head.ts';
import { Http1Parser } from '../../src/tunnel/origin/http1-parser.ts';

/** All that a parser told of one response. */
export interface SeenResponse {
  readonly head: ResponseHead | null;
  readonly body: string;
  readonly trailers: readonly string[] | null;
  readonly failure: string | null;
}

export interface Reading {
  readonly method?: string;
  readonly upgrade?: boolean;
  /** The origin closes its side after the last byte. */
  readonly closes?: boolean;
}

/** Feeds one response in pieces, up to the first failure. */
export function readResponse(
  pieces: readonly Buffer[],
  { method = 'GET', upgrade = false, closes = false }: Reading = {},
): SeenResponse {
  let head: ResponseHead | null = null;
  let trailers: readonly string[] | null = null;
  const body: Buffer[] = [];
  const parser = new Http1Parser({
    responseHead: (seen) => {
      expect(head, 'one head').to.equal(null);
      head = seen;
    },
    responseBody: (chunk) => {
      expect(head, 'a head before the body').not.to.equal(null);
      expect(trailers, 'no body after the end').to.equal(null);
      expect(chunk.length).to.be.greaterThan(0);
      body.push(Buffer.from(chunk));
    },
    responseEnd: (seen) => {
      expect(trailers, 'one end').to.equal(null);
      trailers = seen;
    },
  });
  parser.start(method, upgrade);
  let failure = null;
  for (const piece of pieces) {
    failure = parser.feed(piece);
    if (failure !== null) break;
  }
  if (failure === null && closes) failure = parser.finish();
  return { head, body: Buffer.concat(body).toString('latin1'), trailers, failure: failure?.code ?? null };
}
