import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectKube, type KubeClient } from '../../src/kube/client.ts';
import type { Clock } from '../../src/time/clock.ts';
import { eventually } from './eventually.ts';

/** A request that waits for the test to answer it, in whatever way the test likes. */
export class KubeCall {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  /** The client has gone, or the answer is complete. */
  closed = false;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, body: string) {
    this.method = request.method ?? '';
    this.url = new URL(request.url ?? '', 'http://kube');
    this.headers = request.headers;
    this.body = body === '' ? undefined : JSON.parse(body);
    this.#response = response;
    response.on('close', () => {
      this.closed = true;
    });
  }

  /** One whole JSON answer. */
  json(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, { 'content-type': 'application/json', ...headers });
    this.#response.end(JSON.stringify(body));
  }

  /** A refusal as the API server words it. */
  refuse(code: number, message: string, headers: Record<string, string> = {}): void {
    this.json(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message }, headers);
  }

  list(resourceVersion: string, items: readonly unknown[], next?: string): void {
    this.json(200, { metadata: { resourceVersion, ...(next && { continue: next }) }, items });
  }

  /** Sends the head of a watch; then `event` and `raw` send lines until `end` or `cut`. */
  begin(): this {
    this.#response.writeHead(200, { 'content-type': 'application/json' });
    this.#response.flushHeaders();
    return this;
  }

  event(type: string, object: unknown): this {
    return this.raw(`${JSON.stringify({ type, object })}\n`);
  }

  bookmark(resourceVersion: string): this {
    return this.event('BOOKMARK', { metadata: { resourceVersion } });
  }

  raw(bytes: string | Buffer): this {
    this.#response.write(bytes);
    return this;
  }

  end(): void {
    this.#response.end();
  }

  /** Breaks the connection. */
  cut(): void {
    this.#response.destroy();
  }
}

/**
 * An API server that does exactly what a test tells it: every request waits until the test takes it with `next`
 * and answers it, so a hostile server is as easy as a good one.
 */
export class ScriptedKube {
  readonly waiting: KubeCall[] = [];
  /** Accepted so far. */
  connections = 0;
  readonly #server: Server;
  readonly #dir: string;
  readonly #clients: KubeClient[] = [];

  private constructor(server: Server, dir: string) {
    this.#server = server;
    this.#dir = dir;
    server.on('connection', () => {
      this.connections += 1;
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => this.waiting.push(new KubeCall(request, response, body)));
    });
  }

  /** With a certificate and its key it speaks TLS. */
  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<ScriptedKube> {
    const server = (tls === undefined ? createServer() : createTlsServer(tls)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ScriptedKube(server, await mkdtemp(join(tmpdir(), 'scripted-kube-')));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A kubeconfig for this server; `context` adds to its context, `user` to its user. */
  async kubeconfig(context: object = { namespace: 'web' }, user: object = { token: 'tok' }): Promise<string> {
    const path = join(this.#dir, 'config');
    const config = {
      'current-context': 'here',
      contexts: [{ name: 'here', context: { cluster: 'one', user: 'me', ...context } }],
      clusters: [{ name: 'one', cluster: { server: this.url } }],
      users: [{ name: 'me', user }],
    };
    await writeFile(path, JSON.stringify(config));
    return path;
  }

  /** Closed together with this server. */
  async client(clock: Clock): Promise<KubeClient> {
    const connected = await connectKube({ kubeconfig: await this.kubeconfig(), namespace: null }, clock);
    if (!connected.ok) throw new Error(connected.fault.message);
    this.#clients.push(connected.value);
    return connected.value;
  }

  /** Takes the next request for which `wanted` holds: `GET /ingresses` by its end, `watch` or not. */
  next(what: string): Promise<KubeCall> {
    const [method, path, watch] = what.split(' ');
    const wanted = (call: KubeCall): boolean =>
      call.method === method &&
      call.url.pathname.endsWith(path ?? '') &&
      call.url.searchParams.has('watch') === (watch === 'watch');
    return eventually(`${what}; waiting: ${this.waiting.map((call) => call.url.href)}`, () => {
      const at = this.waiting.findIndex(wanted);
      return at < 0 ? null : this.waiting.splice(at, 1)[0];
    });
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#dir, { recursive: true, force: true });
  }
}
