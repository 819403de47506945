import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';
import { http2Error } from '../wire/http2-errors.ts';
import { maxHeaderLines } from './http1-head.ts';
import { maxHeadBytes } from './http1-parser.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';
import { Http2OriginStream, type StreamSession } from './http2-origin-stream.ts';
import { http2RequestHead } from './http2-request.ts';
import { failureOf, type OriginFailure } from './origin-failure.ts';

/** Streams at the same time on one session, also where the origin allows more. */
const maxStreams = 256;
/** Window of one response, as the edge gives one stream; and of all responses of a session together. */
const streamWindowBytes = 1024 * 1024;
const sessionWindowBytes = 8 * 1024 * 1024;
/** Node's account of what a session holds; beyond it new streams fail. The windows above have to fit in. */
const maxSessionMemoryMiB = 64;

/** What a session's owner hears. */
export interface SessionOwner {
  /** The origin has proven to speak HTTP/2. Called once, later, or not at all. */
  ready(): void;
  /** A stream is over: there is room for another. */
  streamOver(): void;
  /** No further stream can be opened: the origin said so, or the session is gone. Called once. */
  unusable(): void;
  /** The session is gone; called once, after `unusable`. */
  gone(failure: OriginFailure): void;
}

/**
 * One HTTP/2 session to an origin over Node's client. Owns its socket. Ends when it has been idle, when the origin
 * ends it, or by its owner; a session that the origin wants to end (GOAWAY) finishes its streams first.
 */
export class Http2OriginSession implements StreamSession {
  readonly serverName: string;
  failure: OriginFailure | null = null;
  /** Streams that are open. */
  streams = 0;
  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  readonly #idleLifeMs: number;
  readonly #session: ClientHttp2Session;
  readonly #scheme: 'http' | 'https';
  #spoke = false;
  #opened = 0;
  #usable = true;
  #isGone = false;
  #lastStreamId = Number.POSITIVE_INFINITY;
  #idleSinceMs: number;
  #idleTimer: Timer | null = null;

  constructor(
    socket: Socket,
    origin: { readonly serverName: string; readonly scheme: 'http' | 'https'; readonly idleLifeMs: number },
    clock: Clock,
    owner: SessionOwner,
  ) {
    this.serverName = origin.serverName;
    this.#scheme = origin.scheme;
    this.#idleLifeMs = origin.idleLifeMs;
    this.#clock = clock;
    this.#owner = owner;
    this.#idleSinceMs = clock.monotonic();
    const options = {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: maxHeadBytes },
      maxHeaderListPairs: maxHeaderLines,
      maxSendHeaderBlockLength: 1024 * 1024,
      maxSessionMemory: maxSessionMemoryMiB,
      // What the edge sent goes on as it is, also a field twice that should be there once.
      strictSingleValueFields: false,
    };
    const session = connect(`${origin.scheme}://origin`, options);
    this.#session = session;
    session.once('connect', () => session.setLocalWindowSize(sessionWindowBytes));
    session.once('remoteSettings', () => {
      this.#spoke = true;
      owner.ready();
    });
    session.on('error', (error) => this.#failed(this.#failureOf(error)));
    session.on('goaway', (code, lastStreamId) => {
      this.#lastStreamId = lastStreamId;
      if (code !== http2Error.noError) {
        this.failure ??= {
          reason: 'protocol',
          message: `the origin ended the HTTP/2 session with code ${code}`,
        };
      }
      this.#retire();
    });
    session.once('close', () =>
      this.#gone({ reason: 'reset', message: 'the origin closed the HTTP/2 session' }),
    );
    // Node's session says nothing of a TLS alert behind the handshake, as for a certificate that we do not have.
    socket.once('error', (error) => this.#gone(this.#failureOf(error)));
  }

  /** Whether another stream may be opened now. */
  get hasRoom(): boolean {
    return (
      this.#usable &&
      this.streams < Math.min(maxStreams, this.#session.remoteSettings.maxConcurrentStreams ?? 1)
    );
  }

  /** A place for one exchange. Beyond `hasRoom` it waits in Node until the origin allows another stream. */
  open(): Http2OriginStream {
    this.streams += 1;
    this.#opened += 1;
    return new Http2OriginStream(this, this.#opened - 1);
  }

  request(plan: RequestPlan, framing: BodyFraming, last: boolean): ClientHttp2Stream | OriginFailure {
    if (!this.#usable) {
      return { reason: 'reset', message: 'the HTTP/2 session has just ended', unprocessed: 'ended' };
    }
    try {
      const head = http2RequestHead(plan, framing, this.#scheme);
      // Where trailers are waited for, Node does not send END_STREAM by itself when a stream is closed: half an
      // upload must not look like a whole one.
      return this.#session.request(head, { endStream: last, waitForTrailers: !last });
    } catch (thrown) {
      return failureOf(thrown as Error);
    }
  }

  isUnprocessed(streamId: number | undefined): boolean {
    return streamId === undefined || streamId > this.#lastStreamId;
  }

  streamOver(): void {
    this.streams -= 1;
    if (this.streams === 0) {
      this.#idleSinceMs = this.#clock.monotonic();
      if (!this.#usable) this.destroy();
      else this.#idleTimer ??= this.#clock.after(this.#idleLifeMs, () => this.#checkIdle());
    }
    this.#owner.streamOver();
  }

  /** Ends after its last stream. Idempotent. */
  close(): void {
    this.#retire();
  }

  /** Ends now, with all its streams. Idempotent. */
  destroy(failure?: OriginFailure): void {
    if (failure !== undefined) this.failure ??= failure;
    if (this.#usable) {
      this.#usable = false;
      this.#owner.unusable();
    }
    this.#session.destroy();
  }

  #checkIdle(): void {
    this.#idleTimer = null;
    if (this.streams > 0) return;
    const leftMs = this.#idleSinceMs + this.#idleLifeMs - this.#clock.monotonic();
    if (leftMs <= 0) this.#retire();
    else this.#idleTimer = this.#clock.after(leftMs, () => this.#checkIdle());
  }

  /** What the library calls an error: its codes begin with ERR_HTTP2. */
  #failureOf(error: Error): OriginFailure {
    const failure = failureOf(error);
    if (failure.reason !== 'other') return failure;
    const what = this.#spoke ? 'the HTTP/2 session broke' : 'the origin does not speak HTTP/2';
    return { reason: 'protocol', message: `${what}: ${failure.message}` };
  }

  #gone(failure: OriginFailure): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#failed(failure);
    this.#idleTimer?.cancel();
    this.#owner.gone(this.failure!);
  }

  #failed(failure: OriginFailure): void {
    this.failure ??= failure;
    this.#retire();
  }

  #retire(): void {
    if (this.streams === 0) return this.destroy();
    if (!this.#usable) return;
    this.#usable = false;
    this.#owner.unusable();
  }
}
