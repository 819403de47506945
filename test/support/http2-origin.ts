import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { IssuedCertificate } from '../../src/sandbox/certificates.ts';

/** An origin that speaks HTTP/2, over TCP or TLS, and what it has seen. */
export interface Http2Origin {
  readonly port: number;
  readonly sessions: readonly ServerHttp2Session[];
  readonly streams: readonly ServerHttp2Stream[];
  readonly heads: readonly IncomingHttpHeaders[];
  stop(): Promise<void>;
}

export type Http2Script = (stream: ServerHttp2Stream, head: IncomingHttpHeaders, count: number) => void;

/** Megabytes; with Node's ten a hundred bodies that wait are too many. */
const maxSessionMemory = 1_000;

export async function scriptHttp2(
  script: Http2Script,
  { tls, settings = {} }: { readonly tls?: IssuedCertificate; readonly settings?: Settings } = {},
): Promise<Http2Origin> {
  const sessions: ServerHttp2Session[] = [];
  const streams: ServerHttp2Stream[] = [];
  const heads: IncomingHttpHeaders[] = [];
  const server: Http2Server =
    tls === undefined
      ? createServer({ settings, maxSessionMemory })
      : createSecureServer({ ...tls, settings, maxSessionMemory });
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream, head) => {
    stream.on('error', () => {});
    heads.push(head);
    script(stream, head, streams.push(stream));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    streams,
    heads,
    stop() {
      for (const session of sessions) session.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
