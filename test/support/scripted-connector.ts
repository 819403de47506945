import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type TLSSocket } from 'node:tls';
import { Reframer } from '../../src/tunnel/wire/capnp-framing.ts';
import {
  decodeRegistrationResult,
  encodeRegisterConnection,
  encodeUnregisterConnection,
  type RegistrationResult,
} from '../../src/tunnel/wire/registration.ts';
import {
  decodeRpcMessage,
  encodeBootstrap,
  type RpcMessage,
  type RpcReturn,
} from '../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from './decoded-value.ts';
import { eventually } from './eventually.ts';

export type AnswerStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface ConnectorScript {
  /** `host:port` and PEM, as the edge gives them. */
  readonly tunnelAddress: string;
  readonly caPem: string;
  readonly accountTag: string;
  readonly tunnelId: string;
  readonly tunnelSecret: Uint8Array;
  readonly connIndex?: number;
  readonly clientId?: string;
  /** What each request gets; nothing when left out. */
  readonly answer?: AnswerStream;
}

/** One connection to an edge over TLS and `node:http2`, which does only what a test tells it. */
export class ScriptedConnector {
  readonly socket: TLSSocket;
  readonly session: ServerHttp2Session;
  readonly control: ServerHttp2Stream;
  /** What the edge has sent on the control stream, decoded. */
  readonly received: RpcMessage[] = [];
  readonly #script: ConnectorScript;
  isClosed = false;

  private constructor(
    socket: TLSSocket,
    session: ServerHttp2Session,
    control: ServerHttp2Stream,
    script: ConnectorScript,
  ) {
    this.socket = socket;
    this.session = session;
    this.control = control;
    this.#script = script;
    const reframer = new Reframer();
    control.on('data', (chunk: Buffer) => {
      for (const frame of valueIn(reframer.push(chunk))) this.received.push(valueIn(decodeRpcMessage(frame)));
    });
    session.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      script.answer?.(stream, headers);
    });
    session.once('close', () => {
      this.isClosed = true;
    });
  }

  /** Dials and waits for the control stream; nothing is sent on it yet. */
  static async dial(script: ConnectorScript): Promise<ScriptedConnector> {
    const [host = '', port = ''] = script.tunnelAddress.split(':');
    const socket = connect({ host, port: Number(port), servername: 'h2.cftunnel.com', ca: script.caPem });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    const session = performServerHandshake(socket);
    session.on('error', () => {});
    const [control, headers] = (await once(session, 'stream')) as [ServerHttp2Stream, IncomingHttpHeaders];
    if (headers['cf-cloudflared-proxy-connection-upgrade'] !== 'control-stream') {
      throw new Error('the first stream of an edge is the control stream');
    }
    control.on('error', () => {});
    control.respond({ ':status': 200 });
    return new ScriptedConnector(socket, session, control, script);
  }

  async register(): Promise<RegistrationResult> {
    this.send(encodeBootstrap(0));
    const { accountTag, tunnelId, tunnelSecret, connIndex = 0, clientId = randomUUID() } = this.#script;
    this.send(
      encodeRegisterConnection(
        { questionId: 1, target: { kind: 'promised', questionId: 0 } },
        {
          accountTag,
          tunnelId,
          tunnelSecret,
          connIndex,
          client: { clientId, features: ['serialized_headers'], version: 'scripted', arch: 'linux_amd64' },
          originLocalIp: Buffer.alloc(16),
          replaceExisting: false,
          compressionQuality: 0,
          numPreviousAttempts: 0,
        },
      ),
    );
    const { result } = await this.returned(1);
    if (result.kind !== 'results') throw new Error(`registerConnection ended as ${result.kind}`);
    return valueIn(decodeRegistrationResult(result.payload));
  }

  async unregister(): Promise<void> {
    this.send(encodeUnregisterConnection({ questionId: 2, target: { kind: 'imported', id: 0 } }));
    await this.returned(2);
    this.control.end();
  }

  send(frame: Uint8Array): void {
    this.control.write(frame);
  }

  /** Waits for the answer to a question. */
  returned(questionId: number): Promise<RpcReturn> {
    return eventually(`a Return of question ${questionId}`, () =>
      this.received.find(
        (message): message is RpcReturn => message.type === 'return' && message.answerId === questionId,
      ),
    );
  }

  closed(): Promise<boolean> {
    return eventually('the edge closes the connection', () => this.isClosed);
  }

  destroy(): void {
    this.session.destroy();
    this.socket.destroy();
  }
}
