import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { EdgeSession, EdgeSessionEvents, SessionEnd } from '../../src/tunnel/edge-session.ts';
import { createEdgeSession, type EdgeSessionOptions } from '../../src/tunnel/http2-session.ts';

/** Two ends of a loopback connection; the caller destroys both. */
export async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect({ port, host: '127.0.0.1' });
  await new Promise<void>((resolve, reject) => near.once('connect', resolve).once('error', reject));
  const far = await accepted;
  server.close();
  return { near, far };
}

/** A session under test and what its owner heard. */
export interface TestedSession {
  readonly session: EdgeSession;
  readonly goaways: number[];
  readonly thrown: unknown[];
  readonly ended: Promise<SessionEnd>;
}

export function sessionOn(
  socket: Socket,
  stream: EdgeSessionEvents['stream'],
  options?: EdgeSessionOptions,
): TestedSession {
  const goaways: number[] = [];
  const thrown: unknown[] = [];
  let tellEnd: (end: SessionEnd) => void;
  const ended = new Promise<SessionEnd>((resolve) => {
    tellEnd = resolve;
  });
  const session = createEdgeSession(
    socket,
    {
      stream,
      goaway: (code) => goaways.push(code),
      handlerThrew: (error) => thrown.push(error),
      ended: (end) => tellEnd(end),
    },
    options,
  );
  return { session, goaways, thrown, ended };
}

/** Node's HTTP/2 client in the edge's place. */
export function nodeEdge(socket: Socket): ClientHttp2Session {
  const client = connectHttp2('http://edge.test', { createConnection: () => socket });
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
