import type { Http2Connection } from '../http2-connection.ts';

/** What the two fronts of the edge, for HTTP/1.1 and for HTTP/2, do alike. */

/** The connection that carries the next request of a tunnel, or null when there is none. */
export type Route = (tunnelId: string) => Http2Connection | null;

/** Where a connector puts the headers of the origin (protocol page, section 8.2). */
export const serializedHeader = 'cf-cloudflared-response-headers';

/** What the edge of a real network adds to a request, besides `cf-ray`, which no two requests share. */
export const addedHeaders: readonly string[] = [
  'cf-connecting-ip',
  '203.0.113.7',
  'cf-ipcountry',
  'DE',
  'cf-visitor',
  '{"scheme":"https"}',
  'cdn-loop',
  'cloudflare; loops=1',
  'x-forwarded-for',
  '203.0.113.7',
  'x-forwarded-proto',
  'https',
  'accept-encoding',
  'gzip, br',
];

let rays = 0;

export function nextRay(): string {
  return `${(++rays).toString(16).padStart(16, '0')}-FRA`;
}

/** First label of the host: the tunnel's UUID. */
export function tunnelOf(authority: string): string {
  return authority.slice(0, authority.indexOf('.'));
}
