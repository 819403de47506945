import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ConnectionTable } from './connection-table.ts';
import { Exchange, type Eyeball } from './exchange.ts';
import { newRay } from './eyeball-headers.ts';

export interface FrontSettings {
  readonly table: ConnectionTable;
  readonly locationName: string;
  /** The tunnel that a public name leads to, by DNS; null when there is no such name. */
  tunnelOf(host: string): string | null;
}

/** As at Cloudflare: all request headers together. */
const maxHeaderBytes = 128 << 10;

/**
 * The front door: plain HTTP/1.1 for eyeballs. The Host header stands for what DNS would do; a name that is not in
 * DNS gets 404 with Cloudflare's error 1001 (where an eyeball would not have come this far), a name whose tunnel
 * has no connection 530 with error 1033.
 */
export class Front {
  readonly #settings: FrontSettings;
  readonly #server: Server;
  /** The server lets go of sockets that were upgraded; they still end with it. */
  readonly #upgraded = new Set<Socket>();

  constructor(settings: FrontSettings) {
    this.#settings = settings;
    this.#server = createServer({
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: 60_000,
      requestTimeout: 0,
      noDelay: true,
      shouldUpgradeCallback: isWebSocketRequest,
    });
    this.#server.on('request', (request, response) => this.#serve(request, response, null));
    this.#server.on('upgrade', (request, stream, head) => {
      const socket = stream as Socket;
      this.#upgraded.add(socket);
      socket.once('close', () => this.#upgraded.delete(socket));
      socket.on('error', () => {});
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket);
      response.once('finish', () => socket.destroySoon());
      this.#serve(request, response, { socket, head });
    });
  }

  /** Listens on loopback (port 0: a free one) and gives the port. */
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends the listener and every connection. Idempotent. */
  async close(): Promise<void> {
    for (const socket of this.#upgraded) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #serve(request: IncomingMessage, response: ServerResponse, upgrade: Eyeball['upgrade']): void {
    const { table, locationName } = this.#settings;
    const ray = newRay(locationName);
    const refuse = (status: number, errorCode: number): void =>
      refuseEyeball(response, status, errorCode, ray);
    const target = targetOf(request);
    if (target === null) return refuse(400, 400);
    const tunnelId = this.#settings.tunnelOf(target.authority.replace(/:\d+$/, ''));
    if (tunnelId === null) return refuse(404, 1001);
    const eyeball: Eyeball = { request, response, upgrade, ...target, ray };
    new Exchange(eyeball, (tried) => table.pick(tunnelId, tried), refuse).start();
  }
}

/** An answer in the edge's own name, as Cloudflare gives it to clients that are no browser. */
function refuseEyeball(response: ServerResponse, status: number, errorCode: number, ray: string): void {
  if (response.headersSent) return void response.destroy();
  const body = `error code: ${errorCode}`;
  response.writeHead(status, [
    ...['Content-Type', 'text/plain; charset=UTF-8', 'Content-Length', String(body.length)],
    ...['Cache-Control', 'private, no-store', 'Server', 'cloudflare', 'CF-RAY', ray],
  ]);
  response.end(body);
}

/** RFC 9112 section 3.2: an absolute form wins over the Host header. */
function targetOf(request: IncomingMessage): { readonly authority: string; readonly path: string } | null {
  const url = request.url ?? '/';
  const absolute = /^https?:\/\/([^/?#]+)(.*)$/i.exec(url);
  const authority = (absolute?.[1] ?? request.headers.host ?? '').toLowerCase();
  const path = absolute === null ? url : absolute[2]!.startsWith('/') ? absolute[2]! : `/${absolute[2]}`;
  const isPath = path.startsWith('/') || (path === '*' && request.method === 'OPTIONS');
  return authority === '' || authority.includes('@') || !isPath ? null : { authority, path };
}

function isWebSocketRequest(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket';
}
