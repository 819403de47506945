import { type CollectedBytes, maxCollectedBytes } from './collected-bytes.ts';
import type { OriginConnection } from './exchange.ts';
import type { BodyFraming, RequestPlan } from './http1-request.ts';

/**
 * What becomes of the stream after a piece of its body. `broken`: not as long as announced, the peer's fault. `crowded`:
 * there is no room to collect it.
 */
export type BodyStep = 'go-on' | 'pause' | 'broken' | 'too-large' | 'crowded';

/** So much of a body is kept until the origin has answered, so that a request it has not looked at can be sent again. */
export const maxKeptBytes = 16 * 1024;

const noTrailers: readonly string[] = [];

/** Methods whose requests mostly have no body, also where the stream was left open (page, section 8.1). */
const bodylessMethods = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'PROPFIND', 'SEARCH', 'TRACE']);

/**
 * A request's body on its way to the origin: how it is to be framed, what waits for the connection (no more than
 * one window of the stream, which is paused meanwhile), and that exactly the announced length goes out. After a
 * WebSocket's 101 the same with no framing at all.
 */
export class RequestBody {
  /** Null as long as it has to be found out: by the first byte, or by the whole body. */
  framing: BodyFraming | null;
  /** Nothing follows: the stream has ended, or all of the announced length has come. */
  complete: boolean;
  readonly #plan: RequestPlan;
  /** Where a body of unknown length is collected first, for an origin that takes no chunks; null for any other. */
  readonly #collecting: CollectedBytes | null;
  #collectedBytes = 0;
  #missingBytes: number;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #trailers = noTrailers;
  #hasBytes = false;
  /** All that was given to the connection; null when it is too much to keep, or need not be kept any more. */
  #kept: Buffer[] | null = [];
  #keptBytes = 0;
  #connection: OriginConnection | null = null;

  constructor(plan: RequestPlan, ended: boolean, collecting: CollectedBytes | null) {
    const bodyless = bodylessMethods.has(plan.method);
    this.#plan = plan;
    this.#collecting = collecting;
    this.#missingBytes = plan.contentLength < 0 ? Number.POSITIVE_INFINITY : plan.contentLength;
    this.complete = ended || (plan.contentLength === 0 && !plan.websocket);
    if (plan.websocket) this.framing = 'none';
    else if (plan.contentLength >= 0) this.framing = { length: plan.contentLength };
    // A method that has a body says that there is none (RFC 9110, section 8.6).
    else if (ended) this.framing = bodyless ? 'none' : { length: 0 };
    else this.framing = bodyless || collecting !== null ? null : 'chunked';
  }

  /** The framing is open because the first byte has not come: time may decide it, with `assumeChunked`. */
  get awaitsFirstByte(): boolean {
    return this.framing === null && this.#collecting === null;
  }

  assumeChunked(): void {
    this.framing ??= 'chunked';
  }

  /** Whether the head is all of the request. */
  get empty(): boolean {
    return this.complete && !this.#hasBytes && this.framing !== 'chunked';
  }

  /** Whether another connection can have all of it, after `detach`. */
  get whole(): boolean {
    return this.#kept !== null;
  }

  data(chunk: Buffer): BodyStep {
    if (chunk.length === 0) return 'go-on';
    this.#missingBytes -= chunk.length;
    if (this.#missingBytes < 0) return 'broken';
    if (this.#missingBytes === 0) this.complete = true;
    this.#hasBytes = true;
    if (this.#connection !== null) {
      this.#keep(chunk, 'copied');
      const room = this.#connection.write(chunk);
      if (this.complete) this.#connection.requestDone(noTrailers);
      return room ? 'go-on' : 'pause';
    }
    const isCollected = this.framing === null && this.#collecting !== null;
    if (isCollected && !this.#collecting.take(chunk.length)) return 'crowded';
    if (isCollected) this.#collectedBytes += chunk.length;
    // A copy: the chunk is not ours after this call.
    this.#queue.push(Buffer.from(chunk));
    this.#queuedBytes += chunk.length;
    if (isCollected) return this.#queuedBytes > maxCollectedBytes ? 'too-large' : 'go-on';
    this.framing ??= 'chunked';
    return 'pause';
  }

  end(trailers: readonly string[]): BodyStep {
    if (this.complete) return 'go-on';
    if (this.#missingBytes > 0 && this.#missingBytes < Number.POSITIVE_INFINITY) return 'broken';
    this.complete = true;
    if (this.framing === null) {
      const none = this.#queuedBytes === 0 && bodylessMethods.has(this.#plan.method);
      this.framing = none ? 'none' : { length: this.#queuedBytes };
    } else this.#trailers = trailers;
    this.#connection?.requestDone(this.#trailers);
    return 'go-on';
  }

  /** The head was sent on `connection`: what has waited goes out. False: it took it and asks for a pause. */
  attach(connection: OriginConnection): boolean {
    this.#connection = connection;
    let room = true;
    for (const chunk of this.#queue) {
      this.#keep(chunk, 'as it is');
      room = connection.write(chunk);
    }
    this.drop();
    if (this.complete) connection.requestDone(this.#trailers);
    return room;
  }

  /** Nothing of what waits is sent any more. Idempotent. */
  drop(): void {
    this.#queue = [];
    this.#collecting?.giveBack(this.#collectedBytes);
    this.#collectedBytes = 0;
  }

  /** What had been attached took nothing and is gone; what it was given, and what comes now, waits for the next. */
  detach(): void {
    this.#connection = null;
    this.#queue.unshift(...(this.#kept ?? []));
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** The request is not sent again. */
  settle(): void {
    this.#kept = null;
  }

  #keep(chunk: Buffer, how: 'copied' | 'as it is'): void {
    if (this.#kept === null) return;
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > maxKeptBytes) this.#kept = null;
    else this.#kept.push(how === 'copied' ? Buffer.from(chunk) : chunk);
  }
}
