/** What the origin has to serve, whichever program it is. */
export const originBodies = [
  { path: '/128b', bytes: 128 },
  { path: '/64k', bytes: 64 * 1024 },
  { path: '/1m', bytes: 1024 * 1024 },
] as const;

/** Takes any body and answers a few bytes. */
export const uploadPath = '/upload';

/** Becomes a WebSocket that is silent. */
export const socketPath = '/socket';

/** What the bench's own origin says of a body. */
export function answerHeaders(bytes: number): readonly (readonly [name: string, value: string])[] {
  return [
    ['Server', 'bench'],
    ['Date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
    ['Content-Type', 'application/octet-stream'],
    ['Content-Length', `${bytes}`],
    ['ETag', '"6956ed80-80"'],
    ['Accept-Ranges', 'bytes'],
  ];
}
