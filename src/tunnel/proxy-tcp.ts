import type { Timer } from '../time/clock.ts';
import type { EdgeStream, RequestHead } from './edge-session.ts';
import { HeldBytes } from './held-bytes.ts';
import type { StreamHandler } from './http2/stream.ts';
import type { OriginFailure } from './origin/origin-failure.ts';
import type { OriginGroup } from './origin/origin-group.ts';
import type { Dial } from './origin/origin-socket.ts';
import type { ByteSink, TcpConnection } from './origin/tcp-connection.ts';
import { respondFromOrigin, respondOurselves, stopRequest } from './proxy-answer.ts';
import type { ExchangeOwner } from './proxy-http.ts';
import {
  acceptOf,
  binaryHead,
  ClientFrameReader,
  closeCode,
  closeFrame,
  type FrameSink,
  pingFrame,
  pongFrame,
} from './wire/websocket-frames.ts';

/** So that nobody in between takes a quiet connection for a dead one; cloudflared's period. */
const pingEveryMs = 54_000;

/**
 * A WebSocket of the edge whose binary messages are the bytes of a TCP connection to an origin (protocol page,
 * section 9.2): we are the WebSocket's server. Streams both ways; what one side cannot take stops the reading on
 * the other. Owns its dial and, while it lasts, its connection.
 */
export class TcpExchange implements StreamHandler, ByteSink, FrameSink {
  readonly #owner: ExchangeOwner;
  readonly #stream: EdgeStream;
  readonly #origin: OriginGroup;
  readonly #key: string | null;
  readonly #startedMs: number;
  readonly #reader = new ClientFrameReader(this);
  /** What came before the origin was connected: no more than one window of the stream, which is paused. */
  readonly #early = new HeldBytes();
  #requestEnded: boolean;
  #dial: Dial | null = null;
  #connection: TcpConnection | null = null;
  /** The edge takes no more for now. */
  #blocked = false;
  /** The newest ping that could not be answered yet (RFC 6455, section 5.5.3: older ones need no answer). */
  #pong: Buffer | null = null;
  #ping: Timer | null = null;
  #status = 0;
  #over = false;

  constructor(owner: ExchangeOwner, stream: EdgeStream, head: RequestHead, origin: OriginGroup) {
    this.#owner = owner;
    this.#stream = stream;
    this.#origin = origin;
    this.#key = keyOf(head);
    this.#requestEnded = head.ended;
    this.#startedMs = owner.clock.monotonic();
  }

  /** Called once, after the stream knows its handler. */
  start(): void {
    this.#stream.pause();
    this.#dial = this.#origin.dialTcp(
      (connection) => this.#connected(connection),
      (failure) => {
        this.#owner.originFailed(failure);
        this.#status = failure.reason === 'timeout' ? 504 : 502;
        respondOurselves(this.#stream, this.#status);
        this.#finish();
      },
    );
  }

  // From the edge.

  data(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#connection === null) this.#early.push(chunk);
    else this.#reader.feed(chunk);
  }

  end(): void {
    this.#requestEnded = true;
    // Half-close is not preserved (page, section 9.1): the end of one direction is the end of both.
    if (this.#connection !== null) this.#endWith(null);
  }

  reset(): void {
    if (this.#over) return;
    this.#connection?.destroy();
    this.#finish();
  }

  drain(): void {
    this.#blocked = false;
    const pong = this.#pong;
    this.#pong = null;
    if (pong !== null) this.ping(pong);
    if (!this.#blocked) this.#connection?.resume();
  }

  // What the edge's bytes say.

  binary(payload: Buffer): void {
    if (this.#connection?.write(payload) === false) this.#stream.pause();
  }

  ping(payload: Buffer): void {
    if (this.#blocked) this.#pong = payload;
    else this.#send(pongFrame(payload));
  }

  close(code: number | null): void {
    this.#endWith(closeFrame(code));
  }

  broken(code: number, why: string): void {
    this.#owner.peerFailed(why);
    this.#endWith(closeFrame(code));
  }

  // From the origin.

  received(chunk: Buffer): void {
    this.#send(binaryHead(chunk.length));
    this.#send(chunk);
  }

  requestDrained(): void {
    this.#stream.resume();
  }

  ended(): void {
    this.#connection = null;
    this.#endWith(closeFrame(closeCode.normal));
  }

  /** What had arrived is still delivered before the close code that says that there should have been more. */
  failed(failure: OriginFailure): void {
    this.#connection = null;
    this.#owner.originFailed(failure);
    this.#endWith(closeFrame(closeCode.internalError));
  }

  #connected(connection: TcpConnection): void {
    this.#dial = null;
    this.#connection = connection;
    connection.start(this);
    const accepted = this.#key === null ? [] : handshake(this.#key);
    this.#status = 101;
    respondFromOrigin(this.#stream, {
      status: 101,
      headers: accepted,
      contentLength: -1,
      bodyless: false,
      keepAliveSeconds: -1,
    });
    this.#pingLater();
    // Before what has waited, because that may pause the stream again.
    this.#stream.resume();
    while (this.#early.bytes > 0) this.#reader.feed(this.#early.shift());
    if (this.#requestEnded && !this.#over) this.#endWith(null);
  }

  #pingLater(): void {
    this.#ping = this.#owner.clock.after(pingEveryMs, () => {
      if (!this.#blocked) this.#send(pingFrame());
      this.#pingLater();
    });
  }

  #send(bytes: Buffer): void {
    if (this.#stream.write(bytes)) return;
    this.#blocked = true;
    this.#connection?.pause();
  }

  /** The end of both sides: the origin still gets what is queued for it, the edge too, and then this frame. */
  #endWith(frame: Buffer | null): void {
    if (this.#over) return;
    this.#connection?.end();
    if (frame !== null) this.#stream.write(frame);
    this.#stream.end();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection = null;
    this.#early.clear();
    this.#dial?.cancel();
    this.#ping?.cancel();
    if (this.#status !== 0 && !this.#requestEnded) stopRequest(this.#stream);
    this.#owner.over(this.#status, this.#startedMs);
  }
}

function keyOf({ headers }: RequestHead): string | null {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i] === 'sec-websocket-key') return headers[i + 1]!;
  }
  return null;
}

function handshake(key: string): readonly string[] {
  return ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-Websocket-Accept', acceptOf(key)];
}
