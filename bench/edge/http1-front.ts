import type { Socket } from 'node:net';
import type { HeaderField } from '../../src/tunnel/wire/hpack-static.ts';
import { decodeResponseHeaders } from '../../src/tunnel/wire/response-headers.ts';
import type { Exchange, Http2Connection } from '../http2-connection.ts';
import { addedHeaders, nextRay, type Route, serializedHeader, tunnelOf } from './visitors.ts';

interface RequestHead {
  readonly tunnelId: string;
  readonly headers: readonly string[];
  readonly contentLength: number;
  readonly isUpgrade: boolean;
}

const maxHeadBytes = 16 * 1024;
/** Longer first pieces of a body go out by themselves instead of being copied behind the head. */
const joinedBytes = 4096;
const upgradeHeader = 'cf-cloudflared-proxy-connection-upgrade';
const badGateway = Buffer.from('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');

/** A bench sends the same few heads and gets the same few back: each is read once. */
const knownRequests = new Map<string, RequestHead>();
const knownResponses = new Map<string, Buffer>();
const maxKnown = 1000;

/**
 * One client's connection at the edge's public side: HTTP/1.1 with keep-alive and without pipelining, each request
 * one stream of its tunnel. A client has one request under way, so what is queued for it is one answer at most.
 */
export class Http1Front implements Exchange {
  readonly #socket: Socket;
  readonly #route: Route;
  #tunnel: Http2Connection | null = null;
  #streamId = 0;
  /** Request body that is still to come; Infinity on an upgraded connection. */
  #bodyLeft = 0;
  #partialHead: Buffer | null = null;
  #pendingHead: Buffer | null = null;

  constructor(socket: Socket, route: Route) {
    this.#socket = socket;
    this.#route = route;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => this.#tunnel?.cancel(this.#streamId));
  }

  headers(fields: readonly HeaderField[]): void {
    let serialized: string | null = null;
    let status = '502';
    for (const { name, value } of fields) {
      if (name === ':status') status = value;
      else if (name === serializedHeader) serialized = value;
    }
    const head = serialized === null ? badGateway : responseHead(status, serialized);
    // Kept back for the body's first piece, except where the peer's silence is the point.
    if (this.#bodyLeft === Number.POSITIVE_INFINITY) this.#socket.write(head);
    else this.#pendingHead = head;
  }

  data(piece: Buffer): void {
    const head = this.#pendingHead;
    if (head === null) {
      this.#socket.write(piece);
      return;
    }
    this.#pendingHead = null;
    if (piece.length <= joinedBytes) {
      this.#socket.write(Buffer.concat([head, piece]));
      return;
    }
    this.#socket.cork();
    this.#socket.write(head);
    this.#socket.write(piece);
    this.#socket.uncork();
  }

  ended(): void {
    this.#tunnel = null;
    if (this.#pendingHead !== null) this.#socket.write(this.#pendingHead);
    this.#pendingHead = null;
    if (this.#bodyLeft === Number.POSITIVE_INFINITY) this.#socket.end();
  }

  /** A head that has gone out cannot be taken back, so the client learns of it by the connection's end. */
  failed(): void {
    this.#tunnel = null;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#bodyLeft > 0) return this.#body(chunk);
    const data = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = null;
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
      if (data.length > maxHeadBytes) this.#socket.destroy();
      else this.#partialHead = data;
      return;
    }
    this.#request(requestHead(data.toString('latin1', 0, end)));
    if (data.length > end + 4) this.#body(data.subarray(end + 4));
  }

  #request(head: RequestHead): void {
    const tunnel = this.#route(head.tunnelId);
    if (tunnel === null) {
      this.#socket.end(badGateway);
      return;
    }
    this.#tunnel = tunnel;
    this.#bodyLeft = head.isUpgrade ? Number.POSITIVE_INFINITY : head.contentLength;
    const headers = [...head.headers, 'cf-ray', nextRay()];
    this.#streamId = tunnel.open(headers, this.#bodyLeft === 0, this);
  }

  #body(chunk: Buffer): void {
    this.#bodyLeft -= chunk.length;
    this.#tunnel?.write(this.#streamId, chunk);
    if (this.#bodyLeft === 0) this.#tunnel?.end(this.#streamId);
  }
}

function requestHead(text: string): RequestHead {
  const known = knownRequests.get(text);
  if (known !== undefined) return known;
  const [requestLine = '', ...lines] = text.split('\r\n');
  const [method = '', path = ''] = requestLine.split(' ');
  const regular: string[] = [];
  let authority = '';
  let contentLength = 0;
  let isUpgrade = false;
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'host') authority = value;
    else if (name === 'upgrade') isUpgrade = true;
    else if (name !== 'connection') {
      if (name === 'content-length') contentLength = Number(value);
      regular.push(name, value);
    }
  }
  if (isUpgrade) regular.push(upgradeHeader, 'websocket');
  const pseudo = [':method', method, ':scheme', 'https', ':authority', authority, ':path', path];
  const head = {
    tunnelId: tunnelOf(authority),
    headers: [...pseudo, ...regular, ...addedHeaders],
    contentLength,
    isUpgrade,
  };
  if (knownRequests.size >= maxKnown) knownRequests.clear();
  knownRequests.set(text, head);
  return head;
}

function responseHead(status: string, serialized: string): Buffer {
  const key = `${status} ${serialized}`;
  const known = knownResponses.get(key);
  if (known !== undefined) return known;
  const decoded = decodeResponseHeaders(serialized);
  if (!decoded.ok) throw new Error('serialized response headers cannot be decoded');
  const { value } = decoded;
  const lines: string[] = [];
  let upgraded = false;
  for (let i = 0; i + 1 < value.length; i += 2) {
    lines.push(`${value[i]}: ${value[i + 1]}\r\n`);
    if (value[i]!.toLowerCase() === 'upgrade') upgraded = true;
  }
  const statusLine = upgraded ? '101 Switching Protocols' : `${status} -`;
  const head = Buffer.from(`HTTP/1.1 ${statusLine}\r\n${lines.join('')}\r\n`, 'latin1');
  if (knownResponses.size >= maxKnown) knownResponses.clear();
  knownResponses.set(key, head);
  return head;
}
