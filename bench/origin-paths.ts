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
