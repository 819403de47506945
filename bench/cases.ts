import { uploadPath } from './origin-paths.ts';

/** What is measured, the same for every contestant. */
export type Case = LoadCase | IdleCase;

interface CaseHead {
  readonly name: string;
  /** In words, for the table of `--list`. */
  readonly title: string;
  readonly haConnections: number;
  /** What the origin speaks: `h2` over TLS, and nothing else; HTTP/1.1 without. */
  readonly origin: 'http/1.1' | 'h2';
}

/**
 * `hosted`: our tunnel runs in threads of a process that hosts tunnels, as in the controller; what counts is the memory
 * that it adds there, beside that of a whole cloudflared process.
 */
export interface LoadCase extends CaseHead {
  readonly kind: 'load' | 'hosted';
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly bodyBytes: number;
  readonly concurrency: number;
  /**
   * How visitors speak to the edge. Small requests come as streams of one connection, or generator and edge would be busy
   * with system calls before any connector is, which the case with HTTP/1.1 shows; large bodies come on connections of
   * their own, where the edge copies less.
   */
  readonly visitors: 'http/1.1' | 'h2';
}

/** WebSockets that are open and silent: what counts is the memory that they take. */
export interface IdleCase extends CaseHead {
  readonly kind: 'idle';
  readonly sockets: number;
}

const shapes: readonly Omit<LoadCase, 'haConnections' | 'kind'>[] = [
  { name: 'get-128b-c1', title: '128 B GET, 1 at a time', ...get('/128b', 'h2'), concurrency: 1 },
  { name: 'get-128b-c50', title: '128 B GET, 50 at a time', ...get('/128b', 'h2'), concurrency: 50 },
  {
    name: 'get-128b-c50-http1',
    title: '128 B GET, 50 at a time, over 50 connections of HTTP/1.1',
    ...get('/128b', 'http/1.1'),
    concurrency: 50,
  },
  { name: 'get-64k-c50', title: '64 KiB GET, 50 at a time', ...get('/64k', 'http/1.1'), concurrency: 50 },
  {
    name: 'get-128b-c50-http2',
    title: '128 B GET, 50 at a time, from an origin with HTTP/2 over TLS',
    ...get('/128b', 'h2', 'h2'),
    concurrency: 50,
  },
  {
    name: 'get-64k-c50-http2',
    title: '64 KiB GET, 50 at a time, from an origin with HTTP/2 over TLS',
    ...get('/64k', 'http/1.1', 'h2'),
    concurrency: 50,
  },
  { name: 'get-1m-c8', title: '1 MiB GET, 8 at a time', ...get('/1m', 'http/1.1'), concurrency: 8 },
  {
    name: 'post-1m-c8',
    title: '1 MiB POST, 8 at a time',
    method: 'POST',
    path: uploadPath,
    bodyBytes: 1024 * 1024,
    concurrency: 8,
    visitors: 'http/1.1',
    origin: 'http/1.1',
  },
];

export const cases: readonly Case[] = [1, 4].flatMap((haConnections): Case[] => {
  const suffix = haConnections === 1 ? '' : `-ha${haConnections}`;
  const words = haConnections === 1 ? '' : `, ${haConnections} HA connections`;
  return [
    ...shapes.map(
      (shape): Case => ({
        kind: 'load',
        ...shape,
        name: shape.name + suffix,
        title: shape.title + words,
        haConnections,
      }),
    ),
    {
      kind: 'idle',
      name: `websocket-idle-1000${suffix}`,
      title: `1,000 idle WebSockets${words}`,
      sockets: 1000,
      haConnections,
      origin: 'http/1.1',
    },
    {
      kind: 'hosted',
      name: `hosted-64k-c50${suffix}`,
      title: `memory that a tunnel with 64 KiB GET, 50 at a time, adds to its process${words}`,
      ...get('/64k', 'http/1.1'),
      concurrency: 50,
      haConnections,
    },
  ];
});

function get(path: string, visitors: LoadCase['visitors'], origin: LoadCase['origin'] = 'http/1.1') {
  return { method: 'GET', path, bodyBytes: 0, visitors, origin } as const;
}
