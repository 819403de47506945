import { once } from 'node:events';
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestListener,
  type RequestOptions,
  request,
  type Server,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { OriginSettings } from '../../src/domain/ingress.ts';
import { createThreadRunner, type ThreadRunner } from '../../src/runners/thread-runner.ts';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { type Edge, startEdge } from '../../src/sandbox/edge/edge.ts';
import { systemClock } from '../../src/time/clock.ts';
import { eventually } from './eventually.ts';
import { keptLog } from './kept-log.ts';
import { cloudflaredPath, RealCloudflared } from './real-cloudflared.ts';
import { tableTo } from './route-to.ts';

/** What two sockets, two sessions and their windows may hold of one stream that nobody reads. */
export const mostHeldBytes = 32 << 20;

const secret = Buffer.alloc(32, 5);
const tunnelId = '11111111-2222-4333-8444-555555555555';
const host = 'app.example.com';

/** Ours, and with `CLOUDFLARED=/path/to/cloudflared` the real one for all that it can do. */
export const carriers =
  cloudflaredPath === undefined ? (['ours'] as const) : (['ours', 'cloudflared'] as const);
export type Carrier = (typeof carriers)[number];

/**
 * The whole way of a request, all of it real: the sandbox edge's front door, its HTTP/2, a worker thread with the
 * connector, and a web application whose every step a test decides.
 */
export class CarryingStage {
  readonly edge: Edge;
  /** What the application does with a request. */
  serve: RequestListener = (_, response) => response.end('ok');
  /** What it does with a WebSocket. */
  chat: (socket: WebSocket, request: IncomingMessage) => void = () => {};
  /** Open connections of the application. */
  readonly sockets = new Set<Socket>();
  readonly #origin: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: 16 << 20 });
  /** Ends the connector. */
  #end = async (): Promise<void> => {};

  private constructor(edge: Edge) {
    this.edge = edge;
    this.#origin = createServer({ maxHeaderSize: 1 << 20 }, (asked, response) => this.serve(asked, response));
    this.#origin.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.#origin.on('upgrade', (asked, socket, head) => {
      this.#webSockets.handleUpgrade(asked, socket, head, (webSocket) => this.chat(webSocket, asked));
    });
  }

  static async open(
    carrier: Carrier = 'ours',
    settings: Partial<OriginSettings> = {},
  ): Promise<CarryingStage> {
    const stage = new CarryingStage(
      await startEdge({
        authority: createAuthority('edge'),
        checkTunnel: (_, id) => (id === tunnelId ? { secret } : null),
        tunnelOf: (name) => (name === host ? tunnelId : null),
      }),
    );
    stage.#origin.listen(0, '127.0.0.1');
    await once(stage.#origin, 'listening');
    if (carrier === 'ours') stage.#run(settings);
    else await stage.#runCloudflared();
    await eventually('registered', () => stage.edge.connections().length === 2);
    return stage;
  }

  /** Begins a request; its body is the caller's to send and to end. */
  ask(path: string, options: RequestOptions = {}) {
    const { hostname, port } = new URL(this.edge.frontUrl);
    const headers = { host, ...(options.headers as Record<string, string>) };
    return request({
      agent: new Agent({ keepAlive: false }),
      maxHeaderSize: 1 << 20,
      ...options,
      hostname,
      port,
      path,
      headers,
    });
  }

  /** The head of the answer; its body is the caller's to read. */
  async answerTo(sent: ClientRequest): Promise<IncomingMessage> {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  }

  /** Where a WebSocket client dials; the host goes into its headers. */
  get webSocketUrl(): string {
    return this.edge.frontUrl.replace('http', 'ws');
  }

  readonly headers = { host };

  async close(): Promise<void> {
    await this.#end();
    await this.edge.stop();
    this.#webSockets.close();
    for (const socket of this.sockets) socket.destroy();
    this.#origin.close();
    await once(this.#origin, 'close');
  }

  async #runCloudflared(): Promise<void> {
    const { port } = this.#origin.address() as AddressInfo;
    const cloudflared = await RealCloudflared.start({
      ...{ edge: this.edge, accountTag: 'account', tunnelId, tunnelSecret: secret },
      url: `http://127.0.0.1:${port}`,
    });
    this.#end = () => cloudflared.stop();
  }

  #run(settings: Partial<OriginSettings>): void {
    const { port } = this.#origin.address() as AddressInfo;
    const fields = { a: 'account', t: tunnelId, s: secret.toString('base64') };
    const token = Buffer.from(JSON.stringify(fields)).toString('base64');
    const runner: ThreadRunner = createThreadRunner({
      clock: systemClock,
      log: keptLog().log,
      logLevel: 'fatal',
      accessCertsUrl: null,
      edge: { addresses: [this.edge.tunnelAddress], ca: this.edge.caPem },
      graceMs: 2_000,
      cores: 1,
      maxThreads: 2,
      tunnelsPerThread: 'auto',
      onCounts: () => {},
      onThread: () => {},
    });
    this.#end = () => runner.close();
    runner.start(
      {
        host,
        ingress: 'web',
        tunnel: { accountId: 'account', id: tunnelId, token },
        haConnections: 2,
        place: { mode: 'worker' },
        routes: { ...tableTo([port], settings), host },
      },
      () => {},
    );
  }
}
