import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';
import { Responses } from '../http2/client/responses.ts';
import type { ClientStream, ResponseHandler } from '../http2/client/stream.ts';
import { type ConnectionEnd, Http2Connection } from '../http2/connection.ts';
import { defaultWindowBytes } from '../wire/flow-window.ts';
import { http2Error } from '../wire/http2-errors.ts';
import { clientPreface, setting, settingsFrame, windowUpdateFrame } from '../wire/http2-frames.ts';
import { hearFailedWrites } from './failed-writes.ts';
import { maxInterimResponses } from './http1-parser.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';
import { originHttp2Limits } from './http2-origin-limits.ts';
import { Http2OriginStream, type StreamSession } from './http2-origin-stream.ts';
import { http2RequestHead } from './http2-request.ts';
import { pingTimeoutMs, SilenceWatch, type WatchedSession } from './http2-silence.ts';
import { failureOf, type OriginFailure, type Unprocessed } from './origin-failure.ts';

/** What a session's owner hears. */
export interface SessionOwner {
  /** The origin has proven to speak HTTP/2, and allows a stream. Called once, later, or not at all. */
  ready(): void;
  /** The origin may allow another number of streams. */
  settingsChanged(): void;
  /** A place that `open` gave is free again. */
  streamOver(): void;
  /** The origin ended the session with streams open that it did not look at, after so many others. */
  cutOff(carried: number): void;
  /** The origin's host says nothing any more, and the session ends next. */
  fellSilent(): void;
  /** No further stream can be opened: the origin said so, or the session ends. Called once. */
  unusable(): void;
  /** The session is gone; called once, after `unusable`. */
  gone(): void;
}

const opening = Buffer.concat([
  Buffer.from(clientPreface, 'latin1'),
  settingsFrame([
    [setting.enablePush, 0],
    [setting.initialWindowSize, originHttp2Limits.streamWindowBytes],
    [setting.maxFrameSize, originHttp2Limits.maxFrameBytes],
    [setting.maxHeaderListSize, originHttp2Limits.maxHeaderListBytes],
  ]),
  windowUpdateFrame(0, originHttp2Limits.connectionWindowBytes - defaultWindowBytes),
]);

/**
 * One HTTP/2 session to an origin. Owns its socket. Ends when it has been idle, when the origin ends it, or by its
 * owner; a session that the origin wants to end (GOAWAY) finishes its streams first.
 */
export class Http2OriginSession implements StreamSession, WatchedSession {
  readonly serverName: string;
  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  readonly #idleLifeMs: number;
  readonly #scheme: 'http' | 'https';
  readonly #connection: Http2Connection<ClientStream, Responses>;
  #failure: OriginFailure | null = null;
  #spoke = false;
  #ready = false;
  #opened = 0;
  /** Places that were given and have no stream yet. */
  #unstarted = 0;
  #carried = 0;
  #usable = true;
  /** Of GOAWAY: streams above were not looked at, and what that means for their requests. */
  #lastStreamId = Number.POSITIVE_INFINITY;
  #unlooked: Unprocessed = 'ended';
  /** The error that it named, which is why the session ends once it does. */
  #goneAwayWith: OriginFailure | null = null;
  #idleSinceMs = 0;
  #idleTimer: Timer | null = null;
  readonly #silence: SilenceWatch;
  /** A write has found the connection cut: until when it may still be read. */
  #cut: Timer | null = null;

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
    // What was said before the connection was cut, GOAWAY perhaps, may be here unread; its end follows.
    hearFailedWrites(socket, (error) => {
      this.#cut ??= clock.after(originHttp2Limits.lingerMs, () => socket.destroy(error));
    });
    this.#connection = new Http2Connection(
      socket,
      {
        peer: 'server',
        opening,
        role: (streams, faults) =>
          new Responses(streams, faults, maxInterimResponses, {
            goneAway: (lastStreamId, code) => this.#goneAway(lastStreamId, code),
          }),
      },
      {
        settings: () => this.#settingsCame(),
        streamGone: () => this.#streamGone(),
        ending: (cause) => this.#ends(cause),
        ended: () => this.#gone(),
        // A bug, and it ends the thread as in any other callback: whose exchange it was cannot go on.
        threw: (thrown) =>
          process.nextTick(() => {
            throw thrown;
          }),
      },
      originHttp2Limits,
      clock,
    );
    this.#silence = new SilenceWatch(this, clock, () => this.#fellSilent());
  }

  get failure(): OriginFailure | null {
    return this.#failure;
  }

  /** SETTINGS have come. */
  get spoke(): boolean {
    return this.#spoke;
  }

  /** Streams that are open or about to be. */
  get streams(): number {
    return this.#unstarted + this.openStreams;
  }

  /** Streams that are over. */
  get carried(): number {
    return this.#carried;
  }

  get openStreams(): number {
    return this.#connection.streams.size;
  }

  get newestId(): number {
    return this.#connection.role.newestId;
  }

  get chunksHeard(): number {
    return this.#connection.chunksHeard;
  }

  get messageFramesHeard(): number {
    return this.#connection.messageFramesHeard;
  }

  ping(): void {
    this.#connection.ping();
  }

  /** Whether another stream may be opened now. */
  get hasRoom(): boolean {
    return this.#usable && this.streams < this.#connection.role.maxConcurrentStreams;
  }

  /** A place for one exchange. Only with `hasRoom`. */
  open(): Http2OriginStream {
    this.#unstarted += 1;
    this.#opened += 1;
    return new Http2OriginStream(this, this.#opened - 1);
  }

  request(
    plan: RequestPlan,
    framing: BodyFraming,
    last: boolean,
    handler: ResponseHandler,
  ): ClientStream | OriginFailure {
    if (!this.#usable) {
      return { reason: 'reset', message: 'the HTTP/2 session has just ended', unprocessed: 'ended' };
    }
    const head = http2RequestHead(plan, framing, this.#scheme);
    if (!this.#connection.streams.sender.takes(head)) {
      return { reason: 'limit', message: 'the request head is larger than the origin takes over HTTP/2' };
    }
    this.#unstarted -= 1;
    const stream = this.#connection.role.open(plan.method, handler);
    stream.request(head, last);
    this.#silence.begin();
    if (this.#connection.role.exhausted) this.#retire();
    return stream;
  }

  leave(): void {
    this.#unstarted -= 1;
    this.#placeFree();
  }

  unprocessed(streamId: number): Unprocessed | null {
    return streamId > this.#lastStreamId ? this.#unlooked : null;
  }

  /** Ends after its last stream. Idempotent. */
  close(): void {
    this.#retire();
  }

  /** Ends now, with all its streams, which hear `failure`. Idempotent. */
  destroy(failure: OriginFailure): void {
    this.#failure ??= failure;
    this.#connection.destroy();
  }

  #settingsCame(): void {
    this.#spoke = true;
    if (this.#ready) return this.#owner.settingsChanged();
    // Where none is allowed yet the session is still on its way: another one would not help (RFC 9113, section 5.1.2).
    if (!this.hasRoom) return;
    this.#ready = true;
    this.#owner.ready();
    if (this.streams === 0) this.#idles();
  }

  #streamGone(): void {
    this.#carried += 1;
    this.#placeFree();
  }

  #placeFree(): void {
    if (this.streams === 0) this.#idles();
    this.#owner.streamOver();
  }

  #idles(): void {
    if (!this.#usable) return this.#closeSoon();
    this.#idleSinceMs = this.#clock.monotonic();
    this.#idleTimer ??= this.#clock.after(this.#idleLifeMs, () => this.#checkIdle());
  }

  #checkIdle(): void {
    this.#idleTimer = null;
    if (this.streams > 0) return;
    const leftMs = this.#idleSinceMs + this.#idleLifeMs - this.#clock.monotonic();
    if (leftMs <= 0) this.#retire();
    else this.#idleTimer = this.#clock.after(leftMs, () => this.#checkIdle());
  }

  /** What the origin had begun to look at goes on, also where it names an error (RFC 9113, section 6.8). */
  #goneAway(lastStreamId: number, code: number): void {
    if (code !== http2Error.noError) {
      this.#goneAwayWith ??= {
        reason: 'protocol',
        message: `the origin ended the HTTP/2 session with code ${code}`,
      };
    }
    const before = this.#lastStreamId;
    this.#lastStreamId = Math.min(before, lastStreamId);
    if (code === http2Error.http11Required) this.#unlooked = 'http1';
    else this.#unlooked = this.#lastStreamId === 0 ? 'ended' : 'cut-off';
    const { role, streams } = this.#connection;
    const fewer = this.#lastStreamId < before;
    if (fewer && role.newestId > this.#lastStreamId) this.#owner.cutOff(Math.ceil(this.#lastStreamId / 2));
    this.#retire();
    streams.abandonAbove(this.#lastStreamId, http2Error.refusedStream);
  }

  #retire(): void {
    if (this.#usable) {
      this.#usable = false;
      this.#owner.unusable();
    }
    if (this.streams === 0) this.#closeSoon();
  }

  /** Later: whose stream was the last is about to hear how that one ended. */
  #closeSoon(): void {
    process.nextTick(() => this.#connection.close());
  }

  #fellSilent(): void {
    this.#owner.fellSilent();
    this.destroy({ reason: 'timeout', message: `the origin answered no PING within ${pingTimeoutMs} ms` });
  }

  #ends(cause: ConnectionEnd): void {
    this.#failure ??= this.#goneAwayWith ?? this.#failureOf(cause);
    this.#idleTimer?.cancel();
    this.#silence.end();
    this.#retire();
  }

  #gone(): void {
    this.#cut?.cancel();
    this.#owner.gone();
  }

  #failureOf(cause: ConnectionEnd): OriginFailure {
    if (cause.by !== 'error') return { reason: 'reset', message: 'the origin closed the HTTP/2 session' };
    if (cause.thrown !== undefined) return failureOf(cause.thrown);
    const what = this.#spoke ? 'the HTTP/2 session broke' : 'the origin does not speak HTTP/2';
    return { reason: 'protocol', message: `${what}: ${cause.message}` };
  }
}
