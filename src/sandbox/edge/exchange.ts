import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { decodeResponseHeaders } from '../../tunnel/wire/response-headers.ts';
import type { ConnectorConnection } from './connector-connection.ts';
import { requestHead, responseHead, upgradeHead, upgradesToWebSocket } from './eyeball-headers.ts';

/** One request of an eyeball, and where its answer goes. */
export interface Eyeball {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The connection itself, when the eyeball asks for a WebSocket. */
  readonly upgrade: { readonly socket: Duplex; readonly head: Buffer } | null;
  readonly authority: string;
  readonly path: string;
  readonly ray: string;
}

/** Gives a connection that is not in `tried`, or null. */
export type PickConnection = (tried: ReadonlySet<ConnectorConnection>) => ConnectorConnection | null;

/** Connections that one request may try. */
const maxAttempts = 3;
/** Requests that may be sent again although the first may have reached the origin (RFC 9110 section 9.2.1). */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Carries one request through a connector and its answer back, streaming both ways with back-pressure. Every end
 * of one side ends the other.
 */
export class Exchange {
  readonly #eyeball: Eyeball;
  readonly #pick: PickConnection;
  readonly #refuse: (status: number, errorCode: number) => void;
  readonly #tried = new Set<ConnectorConnection>();
  readonly #hasBody: boolean;
  #stream: ClientHttp2Stream | null = null;
  #isAnswered = false;

  /** `refuse` answers in the edge's own name. */
  constructor(eyeball: Eyeball, pick: PickConnection, refuse: (status: number, errorCode: number) => void) {
    this.#eyeball = eyeball;
    this.#pick = pick;
    this.#refuse = refuse;
    const { headers } = eyeball.request;
    this.#hasBody =
      eyeball.upgrade === null &&
      (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);
    eyeball.response.once('close', () => {
      if (!eyeball.response.writableFinished) this.#stream?.close(constants.NGHTTP2_CANCEL);
    });
    eyeball.response.on('error', () => {});
  }

  start(): void {
    const connection = this.#tried.size < maxAttempts ? this.#pick(this.#tried) : null;
    if (connection === null) {
      // 1033: no connector at all; 502: there were some, and the request went down with them.
      if (this.#tried.size === 0) this.#refuse(530, 1033);
      else this.#refuse(502, 502);
      return;
    }
    this.#tried.add(connection);
    const { request, upgrade, authority, path, ray } = this.#eyeball;
    let stream: ClientHttp2Stream | null;
    try {
      stream = connection.open(
        requestHead({
          method: request.method ?? 'GET',
          path,
          authority,
          rawHeaders: request.rawHeaders,
          remoteAddress: request.socket.remoteAddress ?? '127.0.0.1',
          ray,
          isWebSocket: upgrade !== null,
        }),
        { endStream: upgrade === null && !this.#hasBody, trailers: this.#hasBody },
      );
    } catch {
      return this.#refuse(400, 400);
    }
    if (stream === null) return this.start();
    this.#stream = stream;
    stream.on('error', () => {});
    stream.once('response', (headers) => this.#answered(stream, headers));
    stream.once('close', () => this.#ended(stream));
    if (this.#hasBody) this.#sendBody(stream);
  }

  #sendBody(stream: ClientHttp2Stream): void {
    const { request } = this.#eyeball;
    request.on('data', (chunk: Buffer) => {
      // Whoever answers early and stops reading is not waited for; the rest of the body is thrown away.
      if (!stream.writableEnded && !stream.destroyed && !stream.write(chunk)) request.pause();
    });
    stream.on('drain', () => request.resume());
    stream.once('wantTrailers', () => {
      if (!stream.destroyed) stream.sendTrailers(trailersOf(request.rawTrailers));
    });
    request.once('end', () => stream.end());
    // A visitor who leaves in the middle of a body may have had the whole answer: node:http tells neither of the two then.
    const { socket } = request;
    const cancel = (): void => stream.close(constants.NGHTTP2_CANCEL);
    socket.once('close', cancel);
    stream.once('close', () => {
      socket.off('close', cancel);
      request.resume();
    });
  }

  #answered(stream: ClientHttp2Stream, headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    this.#isAnswered = true;
    const status = headers[':status'] ?? 502;
    const serialized = headers['cf-cloudflared-response-headers'];
    const origin = typeof serialized === 'string' ? decodeResponseHeaders(serialized) : null;
    if (origin === null || !origin.ok) {
      // The connector's own answer (the origin could not be reached), or one that no eyeball may see.
      stream.close(constants.NGHTTP2_CANCEL);
      const shown = origin === null && status >= 400 ? status : 502;
      return this.#refuse(shown, shown);
    }
    const { upgrade, ray } = this.#eyeball;
    if (upgrade !== null && status === 200 && upgradesToWebSocket(origin.value)) {
      return this.#joinWebSocket(stream, upgrade, upgradeHead(origin.value, ray));
    }
    this.#respond(stream, status, responseHead(origin.value, ray));
  }

  #respond(stream: ClientHttp2Stream, status: number, head: string[]): void {
    const { response } = this.#eyeball;
    try {
      response.writeHead(status, head);
      response.flushHeaders();
    } catch {
      stream.close(constants.NGHTTP2_CANCEL);
      return void response.destroy();
    }
    // An upgrade that the origin declined leaves an open body behind.
    if (this.#eyeball.upgrade !== null) stream.end();
    stream.on('data', (chunk: Buffer) => {
      if (!response.write(chunk)) stream.pause();
    });
    response.on('drain', () => stream.resume());
    stream.once('trailers', (_headers, _flags, rawTrailers: string[] = []) => {
      if (!response.headersSent || response.writableEnded) return;
      response.addTrailers(entriesOf(rawTrailers));
    });
    stream.once('end', () => {
      // A reset ends the readable side, too: an answer that was cut must not look whole. One without an error only
      // says that nobody reads on behind a whole answer (RFC 9113 section 8.1).
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || this.#isConnectionLost) response.destroy();
      else response.end();
    });
  }

  #joinWebSocket(
    stream: ClientHttp2Stream,
    { socket, head }: { readonly socket: Duplex; readonly head: Buffer },
    answer: string,
  ): void {
    this.#eyeball.response.detachSocket(this.#eyeball.request.socket);
    socket.on('error', () => {});
    socket.write(answer, 'latin1');
    if (head.length > 0) stream.write(head);
    stream.pipe(socket);
    socket.pipe(stream);
    stream.once('close', () => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) socket.end();
      else socket.destroy();
    });
    socket.once('close', () => {
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    });
  }

  /** The one that was tried last. */
  get #isConnectionLost(): boolean {
    return [...this.#tried].at(-1)?.isLost ?? false;
  }

  #ended(stream: ClientHttp2Stream): void {
    const { request, response } = this.#eyeball;
    if (this.#isAnswered) {
      if (!response.writableEnded && response.socket !== null) response.destroy();
      return;
    }
    if (response.destroyed) return;
    const nothingSent = !this.#hasBody || !request.readableDidRead;
    const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    const isSafe = safeMethods.has(request.method ?? '') && this.#eyeball.upgrade === null;
    if (nothingSent && (isRefused || (isSafe && this.#isConnectionLost))) this.start();
    else this.#refuse(502, 502);
  }
}

function trailersOf(rawTrailers: readonly string[]): Record<string, string[]> {
  const trailers: Record<string, string[]> = {};
  for (const [name, value] of entriesOf(rawTrailers)) {
    const key = name.toLowerCase();
    trailers[key] = [...(trailers[key] ?? []), value];
  }
  return trailers;
}

function entriesOf(raw: readonly string[]): [string, string][] {
  const entries: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) entries.push([raw[index]!, raw[index + 1]!]);
  return entries;
}
