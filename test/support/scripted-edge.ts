import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { createAuthority } from '../../src/sandbox/certificates.ts';
import { Reframer } from '../../src/tunnel/wire/capnp-framing.ts';
import {
  decodeRegisterConnection,
  decodeUpdateLocalConfiguration,
  encodeBootstrapResults,
  encodeEmptyResults,
  encodeRegistrationResult,
  type Registration,
  type RegistrationResult,
  registrationMethods,
} from '../../src/tunnel/wire/registration.ts';
import { decodeRpcMessage, encodeReturnedException } from '../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from './decoded-value.ts';
import { eventually } from './eventually.ts';

/** What the edge does with a registerConnection. */
export type EdgeAnswer =
  | RegistrationResult
  | { readonly kind: 'silence' }
  | { readonly kind: 'exception'; readonly reason: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

export const accepted: EdgeAnswer = {
  kind: 'registered',
  connectionId: '00112233-4455-6677-8899-aabbccddeeff',
  locationName: 'test01',
  remotelyManaged: false,
};

export function refused(cause: string, retryAfterSeconds = 0): EdgeAnswer {
  const retryAfterNanoseconds = BigInt(retryAfterSeconds) * 1_000_000_000n;
  return { kind: 'refused', cause, retryAfterNanoseconds, shouldRetry: true };
}

export interface EdgeScript {
  /** Called for each registration; default: accepted. */
  answer?(registration: Registration): EdgeAnswer;
  /** False: the edge never opens the control stream. */
  readonly controlStream?: boolean;
}

/** An edge whose every step a test decides: TLS server, HTTP/2 client, RPC server. Loopback, free port. */
export class ScriptedEdge {
  /** In the order in which TLS was done. */
  readonly connections: EdgePeer[] = [];
  /** The other ends' ports, in the order in which they were dialled. */
  readonly dials: number[] = [];
  readonly ca: string;
  script: EdgeScript = {};
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(names: readonly string[]) {
    const authority = createAuthority('scripted edge');
    const { cert, key } = authority.issue({ dnsNames: names });
    this.ca = authority.cert;
    this.#server = createServer({ cert, key }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      this.connections.push(new EdgePeer(socket, () => this.script));
    });
    this.#server.on('connection', ({ remotePort }) => this.dials.push(remotePort ?? 0));
    this.#server.on('tlsClientError', () => {});
  }

  static async start(names: readonly string[] = ['h2.cftunnel.com']): Promise<ScriptedEdge> {
    const edge = new ScriptedEdge(names);
    edge.#server.listen(0, '127.0.0.1');
    await once(edge.#server, 'listening');
    return edge;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** `127.0.0.1:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The connection of that index, once it is there. */
  async connection(index: number): Promise<EdgePeer> {
    return await eventually(`connection ${index}`, () => this.connections[index]);
  }

  /** Connections that are open now. */
  get open(): readonly EdgePeer[] {
    return this.connections.filter((peer) => !peer.closed);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** One connection as the edge sees it. */
export class EdgePeer {
  registration: Registration | null = null;
  /** Of its other end. */
  readonly port: number;
  unregistered = false;
  /** HTTP/2 is up. */
  ready = false;
  configuration: unknown = null;
  readonly #session: ClientHttp2Session;
  readonly #socket: TLSSocket;
  #control: ClientHttp2Stream | null = null;

  constructor(socket: TLSSocket, script: () => EdgeScript) {
    this.#socket = socket;
    this.port = socket.remotePort ?? 0;
    this.#session = connect('https://edge.test', { createConnection: () => socket });
    this.#session.on('error', () => {});
    this.#session.on('connect', () => {
      this.ready = true;
      if (script().controlStream !== false) this.#openControl(script);
    });
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  /** Opens the control stream when the script has not. */
  #openControl(script: () => EdgeScript): void {
    const headers = { ':path': '/', 'cf-cloudflared-proxy-connection-upgrade': 'control-stream' };
    const control = this.#session.request(headers, { endStream: false });
    this.#control = control;
    const reframer = new Reframer();
    control.on('error', () => {});
    control.on('data', (chunk: Buffer) => {
      for (const frame of valueIn(reframer.push(chunk))) this.#receive(frame, control, script);
    });
  }

  #receive(frame: Buffer, control: ClientHttp2Stream, script: () => EdgeScript): void {
    const message = valueIn(decodeRpcMessage(frame));
    if (message.type === 'bootstrap') control.write(encodeBootstrapResults(message.questionId, 0));
    if (message.type !== 'call') return;
    const { questionId } = message;
    switch (message.methodId) {
      case registrationMethods.registerConnection: {
        this.registration = valueIn(decodeRegisterConnection(message.params));
        const answer = script().answer?.(this.registration) ?? accepted;
        if (answer.kind === 'bytes') control.write(answer.bytes);
        else if (answer.kind === 'exception') {
          control.write(encodeReturnedException(questionId, { reason: answer.reason, kind: 'failed' }));
        } else if (answer.kind !== 'silence') control.write(encodeRegistrationResult(questionId, answer));
        return;
      }
      case registrationMethods.unregisterConnection:
        this.unregistered = true;
        control.write(encodeEmptyResults(questionId));
        return;
      case registrationMethods.updateLocalConfiguration:
        this.configuration = JSON.parse(valueIn(decodeUpdateLocalConfiguration(message.params)).toString());
        control.write(encodeEmptyResults(questionId));
        return;
    }
  }

  /** Opens a request for `app.example.com`; `body` undefined ends it at once, null leaves it open. */
  request(headers: OutgoingHttpHeaders, body?: string | null): EdgeResponse {
    const stream = this.#session.request(
      { ':authority': 'app.example.com', ...headers },
      { endStream: body === undefined },
    );
    if (typeof body === 'string') stream.end(body);
    return new EdgeResponse(stream);
  }

  endControl(): void {
    this.#control?.end();
  }

  resetControl(): void {
    this.#control?.close(2);
  }

  /** GOAWAY; closes the connection once all its streams are done, the control stream included. */
  goaway(): void {
    this.#session.close();
  }

  /** Closes the connection without a word. */
  cut(): void {
    this.#socket.destroy();
  }

  /** Stays connected but reads and answers nothing any more: a half-open connection. */
  freeze(): void {
    this.#session.ref();
    const { _handle: handle } = this.#socket as unknown as { _handle: { readStop(): void } };
    handle.readStop();
  }
}

export class EdgeResponse {
  readonly stream: ClientHttp2Stream;
  readonly #headers: Promise<IncomingHttpHeaders & { ':status'?: number }>;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on('error', () => {});
    this.#headers = new Promise((resolve, reject) => {
      stream.once('response', resolve);
      stream.once('close', () => reject(new Error(`the stream closed with code ${stream.rstCode}`)));
    });
    this.#headers.catch(() => {});
  }

  headers(): Promise<IncomingHttpHeaders & { ':status'?: number }> {
    return this.#headers;
  }

  async text(): Promise<string> {
    await this.#headers;
    const chunks: Buffer[] = [];
    for await (const chunk of this.stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }
}
