import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { decodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';

/** What the edge saw of one stream. */
export interface EdgeAnswer {
  readonly status: number;
  /** Headers of the HTTP/2 response itself. */
  readonly headers: Readonly<Record<string, string>>;
  /** The serialized origin headers decoded: name, value …; null when there was no such header. */
  readonly originHeaders: readonly string[] | null;
  readonly body: Buffer;
  readonly trailers: Readonly<Record<string, string>>;
}

/** Sends a request as the edge does and waits for the whole answer; rejects when the stream is reset. */
export function ask(
  edge: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string | string[]>> = {},
  body: Buffer | string | null = null,
): Promise<EdgeAnswer> {
  const stream = openStream(edge, path, headers, body === null);
  if (body !== null) stream.end(body);
  return answerOf(stream);
}

/** Opens a stream; with `ended` the request has no body. */
export function openStream(
  edge: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string | string[]>> = {},
  ended = false,
): ClientHttp2Stream {
  return edge.request(
    { ':method': 'GET', ':path': path, ':scheme': 'https', ':authority': 'app.example.com', ...headers },
    { endStream: ended },
  );
}

export function answerOf(stream: ClientHttp2Stream): Promise<EdgeAnswer> {
  return new Promise((resolve, reject) => {
    let head: Record<string, string> = {};
    let trailers: Record<string, string> = {};
    const chunks: Buffer[] = [];
    stream.on('response', (headers) => {
      head = headers as unknown as Record<string, string>;
    });
    stream.on('trailers', (headers) => {
      trailers = { ...(headers as unknown as Record<string, string>) };
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const status = Number(head[':status'] ?? 0);
      if (status === 0 || stream.rstCode !== 0) return reject(new ResetError(stream.rstCode));
      const serialized = head['cf-cloudflared-response-headers'];
      const list = serialized === undefined ? null : decodeResponseHeaders(serialized);
      if (list !== null && !list.ok) return reject(new Error(JSON.stringify(list)));
      resolve({
        status,
        headers: head,
        originHeaders: list?.value ?? null,
        body: Buffer.concat(chunks),
        trailers,
      });
    });
  });
}

export class ResetError extends Error {
  readonly code: number;

  constructor(code: number | undefined) {
    super(`the stream was reset with code ${code}`);
    this.code = code ?? 0;
  }
}
