import { HeldBytes } from '../held-bytes.ts';
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
  /** Nothing follows that would be sent: the stream has ended, or all of the announced length has come. */
  complete: boolean;
  readonly #plan: RequestPlan;
  /** Where a body of unknown length is collected first, for an origin that takes no chunks; null for any other. */
  readonly #collecting: CollectedBytes | null;
  #collectedBytes = 0;
  #missingBytes: number;
  /** What waits for the connection, or for room in it. */
  #waiting = new HeldBytes();
  #trailers = noTrailers;
  #hasBytes = false;
  /** All that was given to the connection; null when it is too much to keep, or need not be kept any more. */
  #kept: HeldBytes | null = new HeldBytes();
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

  /** The framing is open because the first byte has not come: time may decide it, with `waitNoLonger`. */
  get awaitsFirstByte(): boolean {
    return this.framing === null && !this.#hasBytes && bodylessMethods.has(this.#plan.method);
  }

  /** No first byte has come. For an origin that takes no chunks there is none, then: one that comes later is `broken`. */
  waitNoLonger(): void {
    if (this.#collecting === null) this.framing = 'chunked';
    else {
      this.framing = 'none';
      this.#missingBytes = 0;
      this.complete = true;
    }
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
    if (this.#connection !== null && this.#waiting.bytes === 0) {
      if (this.#keeps(chunk)) this.#kept?.push(chunk);
      return this.#give(this.#connection, chunk) ? 'go-on' : 'pause';
    }
    const isCollected = this.framing === null && this.#collecting !== null;
    if (isCollected && !this.#collecting.take(chunk.length)) return 'crowded';
    if (isCollected) this.#collectedBytes += chunk.length;
    // A copy: the chunk is not ours after this call.
    this.#waiting.push(chunk);
    if (isCollected) return this.#waiting.bytes > maxCollectedBytes ? 'too-large' : 'go-on';
    this.framing ??= 'chunked';
    return 'pause';
  }

  end(trailers: readonly string[]): BodyStep {
    if (this.complete) return 'go-on';
    if (this.#missingBytes > 0 && this.#missingBytes < Number.POSITIVE_INFINITY) return 'broken';
    this.complete = true;
    if (this.framing === null) {
      const none = this.#waiting.bytes === 0 && bodylessMethods.has(this.#plan.method);
      this.framing = none ? 'none' : { length: this.#waiting.bytes };
    } else this.#trailers = trailers;
    if (this.#waiting.bytes === 0) this.#connection?.requestDone(this.#trailers);
    return 'go-on';
  }

  /** The head was sent on `connection`: what has waited goes out. As `goOn`. */
  attach(connection: OriginConnection): boolean {
    this.#connection = connection;
    if (this.#waiting.bytes > 0) return this.goOn();
    if (this.complete) connection.requestDone(this.#trailers);
    return true;
  }

  /**
   * The connection has room: what has waited goes on. False: it took something and asks for a pause. Of a WebSocket all
   * goes at once, one window at most, because its end may be next.
   */
  goOn(): boolean {
    if (this.#connection === null) return false;
    let room = true;
    while ((room || this.#plan.websocket) && this.#waiting.bytes > 0) {
      const piece = this.#waiting.shift();
      this.#giveBack(piece.length);
      if (this.#keeps(piece)) this.#kept?.adopt(piece);
      room = this.#give(this.#connection, piece);
    }
    return room;
  }

  /** Nothing of what waits is sent any more. Idempotent. */
  drop(): void {
    this.#waiting.clear();
    this.#giveBack(this.#collectedBytes);
  }

  /** What had been attached took nothing and is gone; what it was given, and what comes now, waits for the next. */
  detach(): void {
    this.#connection = null;
    const all = this.#kept ?? new HeldBytes();
    while (this.#waiting.bytes > 0) all.adopt(this.#waiting.shift());
    this.#waiting = all;
    this.#kept = new HeldBytes();
  }

  /** The request is not sent again. */
  settle(): void {
    this.#kept = null;
  }

  /** Whether this is to be kept as well: if it is too much, nothing is from here on. */
  #keeps(bytes: Buffer): boolean {
    if (this.#kept !== null && this.#kept.bytes + bytes.length > maxKeptBytes) this.#kept = null;
    return this.#kept !== null;
  }

  #give(connection: OriginConnection, chunk: Buffer): boolean {
    const room = connection.write(chunk);
    if (this.complete && this.#waiting.bytes === 0) connection.requestDone(this.#trailers);
    return room;
  }

  #giveBack(bytes: number): void {
    const collected = Math.min(bytes, this.#collectedBytes);
    this.#collecting?.giveBack(collected);
    this.#collectedBytes -= collected;
  }
}
