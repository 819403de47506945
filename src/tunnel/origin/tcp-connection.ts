import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../time/clock.ts';
import { HighWater } from '../high-water.ts';
import { Output, outputHighWaterBytes } from '../output.ts';
import { onChunk } from '../shared-reads.ts';
import { hearFailedWrites } from './failed-writes.ts';
import { closedEarly, failureOf, type OriginFailure } from './origin-failure.ts';

/** A connection whose stream has ended gets this long to take what is still queued for it. */
export const endingLimitMs = 10_000;

/** Where the bytes of an origin go. After `ended` or `failed` nothing is called any more. */
export interface ByteSink {
  received(chunk: Buffer): void;
  /** After a `write` that returned false: there is room again. */
  requestDrained(): void;
  /** The origin has sent everything. */
  ended(): void;
  failed(failure: OriginFailure): void;
}

/** A connection to an origin that speaks no HTTP. Owns its socket until the exchange ends, one way or another. */
export class TcpConnection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #gone: () => void;
  readonly #output: Output;
  #sink: ByteSink | null = null;
  #limit: Timer | null = null;
  #destroyed = false;
  /** Why the origin takes no more, once it does not: what it said before is still read. */
  #deaf: OriginFailure | null = null;

  /** `gone` is called once, when the socket is no longer used. */
  constructor(socket: Socket, clock: Clock, gone: () => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#gone = gone;
    this.#output = new Output(socket, new HighWater(outputHighWaterBytes), () =>
      this.#sink?.requestDrained(),
    );
    hearFailedWrites(socket, (error) => this.#refused(failureOf(error)));
    onChunk(socket, (chunk) => this.#sink?.received(chunk));
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.lose(failureOf(error)));
    socket.on('close', () => this.lose(closedEarly));
  }

  /** Before this returns to the event loop nothing has been read. */
  start(sink: ByteSink): void {
    this.#sink = sink;
  }

  /** False: wait for `requestDrained`. */
  write(chunk: Buffer): boolean {
    this.#output.append(chunk);
    return !this.#output.full;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /**
   * Ends it once what was queued is sent, or after `endingLimitMs`; its sink hears nothing more. What the origin still
   * says is read and dropped: it may read the rest only after that.
   */
  end(): void {
    if (this.#destroyed || this.#limit !== null) return;
    this.#sink = null;
    this.resume();
    this.#limit = this.#clock.after(endingLimitMs, () => this.destroy());
    this.#output.finish();
    this.#socket.destroySoon();
  }

  /** Ends it now; its sink hears nothing more. Idempotent. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#sink = null;
    this.#limit?.cancel();
    this.#output.close();
    this.#socket.destroy();
    this.#gone();
  }

  /** Ends it now; its sink hears why. Idempotent. */
  lose(failure: OriginFailure): void {
    const sink = this.#sink;
    this.destroy();
    sink?.failed(failure);
  }

  #refused(failure: OriginFailure): void {
    if (this.#sink === null) this.lose(failure);
    else this.#deaf ??= failure;
  }

  #ended(): void {
    if (this.#deaf !== null) return this.lose(this.#deaf);
    const sink = this.#sink;
    this.end();
    sink?.ended();
  }
}
