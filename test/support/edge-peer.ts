import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type Settings,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import type { EdgeSession, EdgeSessionEvents } from '../../src/tunnel/edge-session.ts';
import type { ConnectionEnd } from '../../src/tunnel/http2/connection.ts';
import { createEdgeSession, type EdgeSessionOptions } from '../../src/tunnel/http2/server/session.ts';

export interface SocketPair {
  /** The connector's end, which dialled. */
  readonly near: Socket;
  /** The edge's end. */
  readonly far: Socket;
}

/** Two ends of a loopback connection; the caller destroys both. */
export function socketPair(): Promise<SocketPair> {
  const server = createServer();
  return pairOf(server, 'connection', (port) => connect({ port, host: '127.0.0.1' }), 'connect');
}

/** The same over TLS, as a connector and the edge have it: the dialling end is the TLS client. */
export function tlsSocketPair(): Promise<SocketPair> {
  const authority = createAuthority('edge peer');
  const server = createTlsServer(authority.issue({ dnsNames: ['edge.test'] }));
  const dial = (port: number): Socket =>
    connectTls({ port, host: '127.0.0.1', servername: 'edge.test', ca: authority.cert });
  return pairOf(server, 'secureConnection', dial, 'secureConnect');
}

async function pairOf(
  server: Server,
  accepts: string,
  dial: (port: number) => Socket,
  connects: string,
): Promise<SocketPair> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = once(server, accepts);
  const near = dial((server.address() as AddressInfo).port);
  const [[far]] = await Promise.all([accepted, once(near, connects)]);
  server.close();
  return { near, far };
}

/** A session under test and what its owner heard. */
export interface TestedSession {
  readonly session: EdgeSession;
  readonly goaways: number[];
  readonly thrown: unknown[];
  /** Each time that it said that it is about to end. */
  readonly endings: ConnectionEnd[];
  readonly ended: Promise<ConnectionEnd>;
}

export function sessionOn(
  socket: Socket,
  stream: EdgeSessionEvents['stream'],
  options?: EdgeSessionOptions,
): TestedSession {
  const goaways: number[] = [];
  const thrown: unknown[] = [];
  const endings: ConnectionEnd[] = [];
  let tellEnd: (end: ConnectionEnd) => void;
  const ended = new Promise<ConnectionEnd>((resolve) => {
    tellEnd = resolve;
  });
  const session = createEdgeSession(
    socket,
    {
      stream,
      goaway: (code) => goaways.push(code),
      handlerThrew: (error) => thrown.push(error),
      ending: (end) => endings.push(end),
      ended: (end) => tellEnd(end),
    },
    options,
  );
  return { session, goaways, thrown, endings, ended };
}

/** Node's HTTP/2 client in the edge's place. */
export function nodeEdge(socket: Socket, settings: Settings = {}): ClientHttp2Session {
  const client = connectHttp2('http://edge.test', {
    createConnection: () => socket,
    settings,
    // Megabytes; with Node's ten some uploads that wait are too many.
    maxSessionMemory: 1_000,
  });
  client.on('error', () => {});
  return client;
}

export interface Answer {
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
  readonly trailers: Record<string, string | string[] | undefined>;
}

/** The whole answer; rejects when the stream is reset. */
export function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let headers: Answer['headers'] = {};
    let trailers: Answer['trailers'] = {};
    const chunks: Buffer[] = [];
    stream.on('response', (got) => {
      headers = got as Answer['headers'];
    });
    stream.on('trailers', (got) => {
      trailers = got as Answer['trailers'];
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode !== 0) reject(new Error(`reset with ${stream.rstCode}`));
      else resolve({ headers, body: Buffer.concat(chunks), trailers });
    });
  });
}
