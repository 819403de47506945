import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** One page of the sample application. `url` is parsed from the request's own path. */
export type Page = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

/** The longest wait and the largest answer that a query may ask for. */
const maxDelayMs = 60_000;
const maxBytes = 16 * 1024 * 1024 * 1024;
const maxChunks = 1_000_000;
const pieceBytes = 64 * 1024;
const piece = Buffer.alloc(pieceBytes, 'warp ');

/** By path; `/` is also the page for every path that is not listed. */
export const pages: Readonly<Record<string, Page>> = {
  '/': welcome,
  '/echo': echo,
  '/headers': headers,
  '/status': status,
  '/bytes': bytes,
  '/stream': stream,
  '/sse': serverSentEvents,
  '/slow': slow,
  '/trailers': trailers,
  '/upload': upload,
};

function welcome(request: IncomingMessage, response: ServerResponse): void {
  const seen = [`host: ${request.headers.host}`, `path: ${request.url}`, `method: ${request.method}`, ''];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    seen.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
  }
  const text = [
    'The sample application of cloudflare-warp-ingress. What it saw of this request:',
    '',
    ...seen,
    '',
  ];
  request.resume();
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text.join('\n'));
}

/** The body comes back as it is; method and headers in headers of the answer. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const type = request.headers['content-type'] ?? 'application/octet-stream';
  response.writeHead(200, {
    'Content-Type': type,
    'X-Echo-Method': request.method ?? '',
    'X-Echo-Path': encodeURI(request.url ?? ''),
    'X-Echo-Headers': Buffer.from(JSON.stringify(request.rawHeaders)).toString('base64'),
  });
  request.pipe(response);
}

function headers(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  answerJson(response, 200, request.rawHeaders);
}

/** `?code=`: 200 to 599. */
function status(request: IncomingMessage, response: ServerResponse, url: URL): void {
  const code = number(url, 'code', 200, 599);
  request.resume();
  if (code < 200) return answerJson(response, 400, { error: 'code must be 200 to 599' });
  response.writeHead(code);
  response.end(code === 204 || code === 304 ? undefined : `${code}\n`);
}

/** `?n=`: that many bytes with Content-Length. */
function bytes(request: IncomingMessage, response: ServerResponse, url: URL): void {
  const length = number(url, 'n', 1_024, maxBytes);
  request.resume();
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': length });
  let left = request.method === 'HEAD' ? 0 : length;
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      const next = Math.min(left, pieceBytes);
      left -= next;
      if (!response.write(next === pieceBytes ? piece : piece.subarray(0, next))) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

/** `?chunks=&delay=`: lines with milliseconds between them, chunked. */
function stream(request: IncomingMessage, response: ServerResponse, url: URL): void {
  request.resume();
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  const chunks = number(url, 'chunks', 5, maxChunks);
  every(
    response,
    chunks,
    number(url, 'delay', 100, maxDelayMs),
    (index) => `chunk ${index + 1} of ${chunks}\n`,
  );
}

/** `?events=&delay=`: server-sent events. */
function serverSentEvents(request: IncomingMessage, response: ServerResponse, url: URL): void {
  request.resume();
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  every(response, number(url, 'events', 5, maxChunks), number(url, 'delay', 500, maxDelayMs), (index) => {
    return `id: ${index + 1}\ndata: ${JSON.stringify({ event: index + 1 })}\n\n`;
  });
}

/** `?delay=`: nothing at all until then. */
function slow(request: IncomingMessage, response: ServerResponse, url: URL): void {
  request.resume();
  const timer = setTimeout(() => response.end('late but here\n'), number(url, 'delay', 2_000, maxDelayMs));
  response.on('close', () => clearTimeout(timer));
}

/** A body with two trailers after it. */
function trailers(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'X-Checksum, X-Chunks' });
  response.write('a body, ');
  response.write('and what follows it\n');
  response.addTrailers({ 'X-Checksum': 'abc123', 'X-Chunks': '2' });
  response.end();
}

/** Takes any body and says how long it was, its SHA-256, and the trailers after it. */
function upload(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256');
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    answerJson(response, 200, { length, sha256: hash.digest('hex'), trailers: request.rawTrailers });
  });
}

function every(
  response: ServerResponse,
  count: number,
  delayMs: number,
  line: (index: number) => string,
): void {
  let index = 0;
  const next = (): void => {
    if (index >= count) {
      response.end();
      return;
    }
    response.write(line(index));
    index += 1;
    timer = setTimeout(next, delayMs);
  };
  let timer = setTimeout(next, 0);
  response.on('close', () => clearTimeout(timer));
}

function answerJson(response: ServerResponse, code: number, value: unknown): void {
  const text = `${JSON.stringify(value)}\n`;
  response.writeHead(code, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** A whole number of the query between 0 and `largest`; anything else is `otherwise`. */
function number(url: URL, name: string, otherwise: number, largest: number): number {
  const text = url.searchParams.get(name) ?? '';
  return /^\d{1,15}$/.test(text) ? Math.min(Number(text), largest) : otherwise;
}
